"""Platforms that the tests of the bootstrap share."""

from pathlib import Path
from typing import Any

import yaml

from sluice_talos.platform import Platform
from sluice_talos.source import read_platform

SYSTEM = 20 * 10**9
DATA = 200 * 10**9


def platform_content(
    control_planes: int, workers: int = 0, subnet: str = "10.0.0"
) -> dict[str, Any]:
    """A platform with two disks a node."""
    roles = ["controlplane"] * control_planes + ["worker"] * workers
    content: dict[str, Any] = {
        "cluster": {"name": "ingest"},
        "disks": {"install": {"size": "<= 64GB"}, "data": {"size": "> 64GB"}},
        "nodes": [
            {"name": f"node-{index}", "role": role, "address": f"{subnet}.{10 + index}"}
            for index, role in enumerate(roles, 1)
        ],
        "operator": {"image": "registry.example.com/sluice-operator:1"},
    }
    if control_planes > 1:
        content["cluster"]["vip"] = {"address": f"{subnet}.9", "link": "eth0"}
    return content


def write_platform(folder: Path, content: dict[str, Any]) -> Path:
    """Write a platform.yaml."""
    path = folder / "platform.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def example(where: Path, control_planes: int, workers: int = 0, **changes: Any) -> Platform:
    """Read an example, with fields of its own."""
    return read_platform(write_platform(where, platform_content(control_planes, workers) | changes))
