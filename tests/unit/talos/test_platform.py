"""platform.yaml: a wrong one is refused with the line, the field, what was found and what fits."""

from pathlib import Path

import pytest

from sluice_api.errors import ConfigurationError
from sluice_talos.endpoint import endpoint_url
from sluice_talos.source import read_platform
from talos_examples import example

GOOD = """\
cluster:
  name: ingest
  endpoint: api.example.com
disks:
  install: {size: "<= 64GB"}
nodes:
- name: one
  role: controlplane
  address: 10.0.0.11
operator: {image: registry.example.com/sluice-operator:1}
"""


def refusal(folder: Path, text: str) -> str:
    path = folder / "platform.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError) as found:
        read_platform(path)
    return str(found.value).replace(f"{folder}/", "")


def test_the_smallest_platform_is_enough(tmp_path: Path) -> None:
    path = tmp_path / "platform.yaml"
    path.write_text(GOOD)
    platform = read_platform(path)
    assert platform.endpoint == "https://api.example.com:6443"
    assert platform.versions.talos == "v1.13.9"


@pytest.mark.parametrize(
    ("good", "wrong", "message"),
    [
        (
            "role: controlplane",
            "role: master",
            "platform.yaml:8: nodes[0].role: must be 'controlplane' or 'worker', found 'master'",
        ),
        (
            "10.0.0.11",
            "10.0.0.300",
            "platform.yaml:9: nodes[0].address: must be an IP address such as 10.0.0.11,"
            " found '10.0.0.300'",
        ),
        (
            '"<= 64GB"',
            "64GB",
            "platform.yaml:5: disks.install.size: must be a comparison with a size, such as"
            ' ">= 20GB" or "< 1TiB", found \'64GB\'',
        ),
        (
            '{size: "<= 64GB"}',
            "{device: /dev/sda}",
            "platform.yaml:5: disks.install.device: is not known; allowed are size, type, model,"
            " serial, wwid, busPath",
        ),
        ('{size: "<= 64GB"}', "{}", "platform.yaml:5: disks.install: must say size, type, model"),
        ("name: ingest", "name: Ingest", "platform.yaml:2: cluster.name: must be at most 63 lower"),
        ("name: ingest", "name: 7", "cluster.name: must be text, found 7; put it in quotes"),
        ("  name: ingest\n", "", "platform.yaml:1: cluster.name: is missing"),
        (
            "  name: ingest",
            "  name: ingest\n  name: other",
            "platform.yaml:2: cluster.name: stands there twice",
        ),
        (
            "role: controlplane",
            "role: worker",
            "platform.yaml:6: nodes: must hold 1, 3 or 5 nodes with role controlplane"
            " (etcd's quorum), found 0",
        ),
        (
            "endpoint: api.example.com",
            "vip: {address: 10.0.0.11, link: eth0}",
            "platform.yaml:3: cluster.vip.address: must be an address that no node has, found that"
            " of nodes[0]",
        ),
        (
            'disks:\n  install: {size: "<= 64GB"}\n',
            "",
            "platform.yaml:5: nodes[0].disks: must say which disk to install to",
        ),
        (
            "operator: {image: registry.example.com/sluice-operator:1}\n",
            "",
            "operator: is missing: say the image of the operator",
        ),
        (
            "disks:",
            "versions: {talos: v1.14.1}\ndisks:",
            "platform.yaml:4: versions.talos: must be a version v1.13.…, such as v1.13.9,"
            " found 'v1.14.1'",
        ),
        (
            "disks:",
            "versions: {kubernetes: v1.30.0}\ndisks:",
            "versions.kubernetes: must be a version from v1.31.0 to v1.36.…, found 'v1.30.0'",
        ),
        (
            "disks:",
            "services: [operator]\ndisks:",
            "platform.yaml:4: services[0]: operator needs redpanda, postgres, redis",
        ),
        (
            "disks:",
            "registries: {docker.io: [mirror.example.com]}\ndisks:",
            "must be a URL such as https://mirror.example.com, found 'mirror.example.com'",
        ),
        (
            'size: "<= 64GB"',
            'model: ""',
            "disks.install.model: must be what the disk tells, or a pattern such as QEMU*",
        ),
        ("10.0.0.11", "0.0.0.0", "nodes[0].address: must be the address of one machine"),
        ("10.0.0.11", "fe80::1%eth0", "nodes[0].address: must be the address of one machine"),
        (
            "endpoint: api.example.com",
            "endpoint: https://api.example.com",
            "platform.yaml:3: cluster.endpoint: must be a host or an address, with a port if it is"
            " not 6443, such as api.example.com or 10.0.0.10:443, found 'https://api.example.com'",
        ),
        (
            "endpoint: api.example.com",
            "vip: 10.0.0.9",
            "platform.yaml:3: cluster.vip: must be a mapping with address, link, found '10.0.0.9'",
        ),
        (
            "endpoint: api.example.com",
            "vip: {address: 10.0.0.9, link: eth 0}",
            "cluster.vip.link: must be the name of a network interface such as eth0, found 'eth 0'",
        ),
        ("name: ingest", "name:", "platform.yaml:2: cluster.name: must be text, found nothing"),
        ("name: ingest", "name: 2026-13-45", "cluster.name: is 'timestamp' to YAML: put it in"),
        ("nodes:\n", "nodes: one\nothers:\n", "nodes: must be a list, found 'one'"),
        ("- name: one", "-\n- name: one", "nodes[0]: must be a mapping with name, role, address"),
        ("disks:", "time_servers: [a]\ndisks:", "platform.yaml:4: time_servers: is not known"),
        ("disks:", "yes: 1\ndisks:", "platform.yaml:4: yes: must be text, for a field's name"),
        ("disks:", "timeServers: ['']\ndisks:", "timeServers[0]: must be a host or an address"),
        ("disks:", "services: [redis, redis]\ndisks:", "services[1]: stands there twice"),
        ("disks:", "waits: {pause: 0s}\ndisks:", "waits.pause: must be more than nothing"),
        ("disks:", "waits: {health: 1ms}\ndisks:", "waits.health: must be at least 1s"),
        ("disks:", "waits: {node: 9999999h}\ndisks:", "waits.node: must be more than nothing"),
        ("disks:", "folder: ~nobody-here/x\ndisks:", "platform.yaml:4: folder: must be a path"),
        (
            "disks:",
            "patches: {worker: [gone.yaml]}\ndisks:",
            "platform.yaml:4: patches.worker[0]: must be a file, as seen from the folder of",
        ),
        (
            "disks:",
            "registries: {https://docker.io: [https://mirror.example.com]}\ndisks:",
            "registries.https://docker.io: must be the host of a registry such as docker.io",
        ),
        ("disks:", "registries: {docker.io: []}\ndisks:", "docker.io: must name a mirror, such as"),
        (
            "image: reg",
            "image: https://reg",
            "operator.image: must be an image's reference such as",
        ),
        ("cluster:", "cluster: [", "platform.yaml:3: is no YAML"),
        (
            "  name: ingest",
            "\tname: ingest",
            "platform.yaml:2: is no YAML: found character '\\t' that",
        ),
        ("  name: ingest", "\tname: ingest", "indent with spaces, not with tabs"),
        ('{size: "<= 64GB"}', "{size: > 64GB}", 'put a value such as "> 64GB" in quotes'),
        ("name: ingest", 'name: "in\0gest"', "platform.yaml:2: is no YAML: special characters"),
        ("name: ingest", "name: &x [*x]", "cluster.name[0]: holds itself, through an anchor"),
        ("cluster:", "cluster: " + "[" * 3000, "platform.yaml: is no YAML that can be read"),
    ],
)
def test_a_wrong_field_is_told_with_its_line(
    tmp_path: Path, good: str, wrong: str, message: str
) -> None:
    assert good in GOOD
    assert message in refusal(tmp_path, GOOD.replace(good, wrong, 1))


@pytest.mark.parametrize(
    ("written", "url"),
    [
        ("api.example.com", "https://api.example.com:6443"),
        ("API.example.com:443", "https://api.example.com:443"),
        ("10.0.0.9", "https://10.0.0.9:6443"),
        ("fd00:0::9", "https://[fd00::9]:6443"),
        ("[fd00::9]:443", "https://[fd00::9]:443"),
    ],
)
def test_an_endpoint_becomes_a_url(written: str, url: str) -> None:
    assert endpoint_url(written) == url


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "a..b",
        "a:0",
        "a:65536",
        "a:64a3",
        "a:b:c",
        "10.0.0.300",
        "a/b",
        "me@a",
        "-a",
        "a?b",
        "a b",
    ],
)
def test_what_is_no_endpoint_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="must be a host or an address"):
        endpoint_url(wrong)


def test_every_fault_is_told_at_once(tmp_path: Path) -> None:
    told = refusal(tmp_path, GOOD.replace("controlplane", "x").replace("10.0.0.11", "y"))
    assert [line.split(": ")[0] for line in told.splitlines()] == [
        "platform.yaml:8",
        "platform.yaml:9",
    ]


def test_nodes_differ_in_name_and_address(tmp_path: Path) -> None:
    twice = "- {name: one, role: worker, address: 10.0.0.11}\noperator:"
    told = refusal(tmp_path, GOOD.replace("operator: {", f"{twice} {{"))
    assert "platform.yaml:10: nodes[1].name: must differ from nodes[0].name" in told
    assert "platform.yaml:10: nodes[1].address: must differ from nodes[0].address" in told


def test_several_control_planes_need_an_address_in_common(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"cluster: must say endpoint .* or vip"):
        example(tmp_path, 3, cluster={"name": "ingest"})


def test_the_endpoint_is_the_given_one_or_the_vip_or_the_only_control_plane(
    tmp_path: Path,
) -> None:
    assert example(tmp_path, 3).endpoint == "https://10.0.0.9:6443"
    assert example(tmp_path, 1).endpoint == "https://10.0.0.11:6443"
    given = {"name": "ingest", "endpoint": "api.example.com:443"}
    assert example(tmp_path, 3, cluster=given).endpoint == "https://api.example.com:443"


def test_paths_are_seen_from_the_file(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").touch()
    platform = example(tmp_path, 1, folder="secret", patches={"all": ["mine.yaml"]})
    assert platform.folder == tmp_path / "secret"
    assert platform.patches.all == (tmp_path / "mine.yaml",)
