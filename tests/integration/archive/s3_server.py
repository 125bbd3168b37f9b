"""versitygw: a real S3 server on loopback, whose buckets are folders."""

import os
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from integration.processes import free_port
from sluice_dev.processes import TETHER

BUCKET = "raw-records"
ACCESS, SECRET = "sluice", "open-sesame.9"


@dataclass
class S3Server:
    """One server; it can be stopped and started again on its port."""

    folder: Path
    certificate: tuple[Path, Path] | None = None
    """The certificate and its key, for https."""
    address: str = "127.0.0.1"
    port: int = field(default_factory=free_port)
    process: Any = None

    @property
    def endpoint(self) -> str:
        return f"{'https' if self.certificate else 'http'}://{self.address}:{self.port}"

    @property
    def bucket(self) -> Path:
        return self.folder / BUCKET

    def start(self) -> None:
        self.bucket.mkdir(parents=True, exist_ok=True)
        program = os.environ.get("SLUICE_TEST_VERSITYGW")
        if not program:
            pytest.fail("SLUICE_TEST_VERSITYGW is not set: `make test` sets it", pytrace=False)
        options = ["--quiet", f"--port={self.address}:{self.port}"]
        if self.certificate is not None:
            options += [f"--cert={self.certificate[0]}", f"--key={self.certificate[1]}"]
        keys = {"ROOT_ACCESS_KEY": ACCESS, "ROOT_SECRET_KEY": SECRET}
        self.process = subprocess.Popen(
            [*TETHER, program, *options, "posix", self.folder],
            env={**os.environ, **keys},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            assert self.process.poll() is None, "versitygw ended at once"
            found = subprocess.run(
                ["bash", "-c", f"exec 3<>/dev/tcp/{self.address}/{self.port}"],
                check=False,
                stderr=subprocess.DEVNULL,
            )
            if not found.returncode:
                return
            time.sleep(0.05)
        raise AssertionError("versitygw does not listen")

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def files(self) -> dict[str, bytes]:
        """Every object of the bucket, by its name."""
        return {
            str(path.relative_to(self.bucket)): path.read_bytes()
            for path in sorted(self.bucket.rglob("*"))
            if path.is_file()
        }
