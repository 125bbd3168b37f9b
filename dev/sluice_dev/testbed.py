"""``python -m sluice_dev.testbed NAME``: a cluster that tests run on, with everything in it.

Prints the variables by which tests find its parts, as lines for a shell to read.
"""

import base64
import shlex
import sys
from typing import Final

from sluice_dev.binaries import proxies, servers, versitygw
from sluice_dev.errors import ClusterError
from sluice_dev.install import install
from sluice_dev.progress import Progress
from sluice_dev.target import Target, target

NAMESPACE: Final = "sluice-e2e"


def variables(cluster: str, where: Target) -> dict[str, str]:
    """Return the tests' variables."""
    secret = ("get", "secret", "postgres", "-n", where.system, "-o", "jsonpath={.data.password}")
    password = base64.b64decode(where.kubectl(*secret)).decode()
    domain = f"{where.system}.svc"
    return {
        "SLUICE_TEST_CLUSTER": cluster,
        "SLUICE_TEST_KAFKA": f"kafka.{domain}:9092",
        "SLUICE_TEST_POSTGRES": f"postgresql://sluice:{password}@postgres.{domain}:5432/warehouse",
        "SLUICE_TEST_REDIS": f"redis://redis.{domain}:6379/0",
    }


def main(cluster: str) -> int:
    """Bring a cluster up, install everything, print the variables."""
    progress = Progress()
    try:
        where = target(cluster, NAMESPACE, progress)
        install(where, progress)
        programs = {
            "SLUICE_TEST_PROXIES": str(proxies(progress)),
            "SLUICE_TEST_SERVERS": str(servers(progress)),
            "SLUICE_TEST_VERSITYGW": str(versitygw(progress)),
        }
    except ClusterError as error:
        print(f"the tests cannot start: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    for name, value in (variables(cluster, where) | programs).items():
        print(f"export {name}={shlex.quote(value)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
