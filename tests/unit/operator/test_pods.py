"""What keeps a pod from running."""

from typing import Any

import pytest

from sluice_operator.pods import pod_troubles, refused_pods

SAID = "  \nTraceback\nsource.handler.function: nope cannot be imported\n"
FAILED = {"terminated": {"exitCode": 78, "message": SAID}}


def pod(**container: Any) -> dict[str, Any]:
    return {"metadata": {"name": "p"}, "status": {"containerStatuses": [container]}}


@pytest.mark.parametrize(
    "state",
    [
        {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}},
        {"running": {}},
        {"terminated": {"exitCode": 78}},
    ],
)
def test_a_container_that_fails_again_and_again_is_told_while_it_tries_once_more(
    state: dict[str, Any],
) -> None:
    found = pod_troubles(pod(state=state, lastState=FAILED, restartCount=2, ready=False))
    assert [trouble.reason for trouble in found] == ["CrashLoopBackOff"]
    assert found[0].message == "pod p: source.handler.function: nope cannot be imported"


def test_one_restart_is_no_crash_loop() -> None:
    assert pod_troubles(pod(state={"running": {}}, lastState=FAILED, restartCount=1)) == []


def test_a_container_that_came_to_itself_is_well() -> None:
    found = pod(state={"running": {}}, lastState=FAILED, restartCount=7, ready=True)
    assert pod_troubles(found) == []


def test_a_container_without_last_words_shows_what_the_kubelet_says() -> None:
    waiting = {"reason": "ImagePullBackOff", "message": "no such image"}
    found = pod_troubles(pod(state={"waiting": waiting}, restartCount=0))
    assert [(trouble.reason, trouble.message) for trouble in found] == [
        ("ImagePullBackOff", "pod p: no such image")
    ]


def test_a_pod_that_fits_no_node_is_told() -> None:
    condition = {"type": "PodScheduled", "reason": "Unschedulable", "message": "0/3 nodes"}
    found = pod_troubles({"metadata": {"name": "p"}, "status": {"conditions": [condition]}})
    assert found[0].message == "pod p: 0/3 nodes"


def test_pods_that_a_quota_refuses_are_told() -> None:
    condition = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: small"}
    found = refused_pods({"metadata": {"name": "d"}, "status": {"conditions": [condition]}})
    assert [(each.reason, each.message) for each in found] == [
        ("PodsRefused", "d: exceeded quota: small")
    ]
    healed = condition | {"status": "False"}
    assert not refused_pods({"metadata": {"name": "d"}, "status": {"conditions": [healed]}})
