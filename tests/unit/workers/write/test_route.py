"""When a batch is tried without a merge."""

from sluice_workers.write.route import LONGEST, Route


def outcomes(route: Route, inserts_work: bool, batches: int) -> list[bool]:
    tried = []
    for _ in range(batches):
        tried.append(route.insert)
        route = route.went(route.insert and inserts_work)
    return tried


def test_rows_that_are_new_are_never_merged() -> None:
    assert all(outcomes(Route(), inserts_work=True, batches=50))


def test_updates_are_merged_and_inserting_is_tried_ever_less() -> None:
    tried = outcomes(Route(), inserts_work=False, batches=4 * LONGEST)
    assert [at for at, each in enumerate(tried) if each][:5] == [0, 3, 8, 17, 34]
    assert sum(tried[-LONGEST:]) == 1


def test_one_success_is_enough_to_go_on_inserting() -> None:
    route = Route()
    for _ in range(3):
        route = route.went(inserted=False)
    assert route.insert
    assert route.went(inserted=True) == Route()
