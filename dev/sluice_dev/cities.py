"""The demo's workload: the sample API with its cities, and the job that ingests them."""

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import yaml

from sample_api.behaviour import LASTING, Behaviour, Fault, fault
from sample_api.dataset import City, cities, pack
from sluice_dev.install import image_patch, render, wait_ready
from sluice_dev.paths import DEV, PROJECT
from sluice_dev.progress import Progress
from sluice_dev.target import Target

JOB: Final = PROJECT / "examples" / "cities.yaml"


@dataclass(frozen=True, slots=True)
class SampleApi:
    """The sample API in a target's cluster, reached through the Kubernetes API."""

    target: Target

    def install(self, records: Iterable[City], progress: Progress) -> None:
        """Run it, with the records, and wait until it is ready."""
        target, namespace = self.target, self.target.jobs
        data = {"cities.json.gz": base64.b64encode(pack(records)).decode()}
        target.kubectl.apply(config_map("sample-api-data", binaryData=data), f"-n{namespace}")
        patch = image_patch("sample-api", {"name": "server", "image": target.image})
        target.kubectl.apply(render(target, DEV / "sample_api", namespace, [patch]))
        wait_ready(target, namespace, "deployment/sample-api", progress)

    def behaviour(self) -> Behaviour:
        """How it answers now."""
        return Behaviour().changed(json.loads(self.target.kubectl("get", self._raw("behaviour"))))

    def change(self, values: Mapping[str, float]) -> None:
        """Change how it answers."""
        put = ("replace", self._raw("behaviour"), "--filename=-")
        self.target.kubectl(*put, stdin=json.dumps(values))

    def requests(self) -> dict[str, int]:
        """How often each key was asked for."""
        found: dict[str, int] = json.loads(self.target.kubectl("get", self._raw("log/keys")))
        return found

    def requests_per_second(self) -> dict[int, int]:
        """How many requests began in each Unix second."""
        log = json.loads(self.target.kubectl("get", self._raw("log")))
        return {int(second): count for second, count in log["perSecond"].items()}

    def forget(self) -> None:
        """Start its log anew."""
        self.target.kubectl("delete", self._raw("log"))

    def _raw(self, path: str) -> str:
        service = f"/api/v1/namespaces/{self.target.jobs}/services/sample-api:http"
        return f"--raw={service}/proxy/{path}"


def doomed(keys: Iterable[str], behaviour: Behaviour) -> dict[str, Fault]:
    """The keys that no repetition can fetch, each with its fault."""
    found = {key: fault(behaviour, key) for key in keys}
    return {key: wrong for key, wrong in found.items() if wrong in LASTING}


def some_cities(count: int | None = None) -> dict[str, City]:
    """The first cities by key, all of them unless a count is given."""
    return dict(list(cities().items())[:count])


def job() -> dict[str, Any]:
    """The manifest of examples/cities.yaml, to be changed and applied."""
    found: dict[str, Any] = yaml.safe_load(JOB.read_text())
    return found


def items(name: str, keys: Iterable[str]) -> str:
    """The manifest of the ConfigMap that lists the items, one a line."""
    return config_map(name, data={"items": "\n".join(keys)})


def config_map(name: str, **content: object) -> str:
    """The manifest of a ConfigMap."""
    return json.dumps(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, **content}
    )
