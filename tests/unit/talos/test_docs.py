"""docs/talos.md: its platform is a good one, its commands are run by tests or say they are not."""

import os
import re
import subprocess
from pathlib import Path

from sluice_talos.installation import PLATFORM, POSTGRES, REDPANDA
from sluice_talos.platform import Platform
from sluice_talos.source import read_platform
from sluice_talos.sources import PROJECT
from sluice_talos.trouble import Kind

DOCS = (PROJECT / "docs" / "talos.md").read_text()
RUN_BY_TESTS = [
    "sluice cluster plan platform.yaml",  # test_steps
    "sluice cluster bootstrap platform.yaml",  # test_bootstrap, test_services
    "sluice cluster status platform.yaml",  # test_bootstrap
    "sluice cluster reset platform.yaml",  # test_bootstrap
    "sluice cluster reset --wipe-data platform.yaml",  # test_bootstrap
]


def lines() -> list[str]:
    """What a reader is told to type."""
    return re.findall(r"^\$ (.*)$", DOCS, flags=re.MULTILINE)


def test_every_command_is_run_by_a_test_or_says_that_it_is_not() -> None:
    promised = [re.sub(r"\s+#.*", "", line) for line in lines() if not line.endswith("# not run")]
    assert [line for line in promised if not line.startswith(("make ", "alias "))] == RUN_BY_TESTS


def test_the_command_is_had_from_a_clone_as_told() -> None:
    told = [line for line in lines() if line.startswith(("make ", "alias "))]
    script = "\n".join(["shopt -s expand_aliases", *told, "sluice cluster --help"])
    shown = subprocess.run(
        ["/bin/bash", "-euc", script],
        cwd=PROJECT,
        env={"HOME": os.environ["HOME"], "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "bootstrap" in shown.stdout, shown.stderr


def test_the_platform_is_a_good_one(tmp_path: Path) -> None:
    found = re.search(r"```yaml\n(# platform.yaml\n.*?)```", DOCS, flags=re.DOTALL)
    assert found
    (tmp_path / "platform.yaml").write_text(found[1])
    platform = read_platform(tmp_path / "platform.yaml")
    assert platform.endpoint == "https://10.0.0.10:6443"
    assert len(platform.control_planes) == 3


def test_every_field_is_told() -> None:
    for name, field in Platform.model_fields.items():
        assert field.alias, name
        assert re.search(rf"`{field.alias}`|^{field.alias}:", DOCS, flags=re.MULTILINE), field.alias


def test_what_is_shown_is_what_the_command_says() -> None:
    for kind in (Kind.UNTRUSTED, Kind.UNREACHABLE):
        assert f"{kind}, waiting (at most 600 s)" in DOCS


def test_the_versions_of_charts_are_the_installed_ones() -> None:
    text = (PLATFORM / "README.md").read_text()
    assert f"Redpanda's operator (chart {REDPANDA.version})" in text
    assert f"CloudNativePG (chart {POSTGRES.version})" in text
