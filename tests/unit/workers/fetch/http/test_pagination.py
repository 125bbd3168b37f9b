"""From page to page."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from sluice_api.pagination import Pagination
from sluice_workers.fetch.http.origins import Origins
from sluice_workers.fetch.http.pagination import Page, Pages, PaginationError, linked
from sluice_workers.fetch.http.request import Content, Request

URL = "http://api/items?size=2"


def pages(allowed: tuple[str, ...] = (), **settings: Any) -> Pages:
    return Pages(Pagination.model_validate(settings), Origins(allowed))


def request(url: str = URL) -> Request:
    return Request("GET", url, CIMultiDict())


def page(url: str = URL, document: object = None, records: int = 1, **more: Any) -> Page:
    found = tuple(f'{{"n":{number},"at":"{url}"}}'.encode() for number in range(records))
    return Page(document, found, url, **more)


def walked(way: Pages, answers: dict[str, Page], most: int = 50) -> list[str]:
    """The URLs that are asked for, with an API that gives these answers."""
    asked, walk = way.first(request())
    urls = []
    while len(urls) < most:
        urls.append(asked.url)
        found = way.follow(asked, answers[asked.url], walk)
        if found is None:
            return urls
        asked, walk = found
    raise AssertionError("it does not end")


@given(st.integers(1, 20), st.integers(1, 30))
def test_every_page_is_asked_for_once_or_there_are_too_many(count: int, most: int) -> None:
    def url(number: int) -> str:
        return f"{URL}&after={number}" if number else URL

    answers = {
        url(n): page(url(n), {"next": n + 1 if n + 1 < count else None}) for n in range(count)
    }
    way = pages(cursor={"path": "$.next", "parameter": "after"}, maxPages=most)
    if count > most:
        with pytest.raises(PaginationError, match="more than maxPages"):
            walked(way, answers)
    else:
        assert walked(way, answers) == [url(number) for number in range(count)]


@given(st.lists(st.integers(1, 9), min_size=1, max_size=9))
def test_an_offset_is_what_was_read_before(sizes: list[int]) -> None:
    starts = [sum(sizes[:index]) for index in range(len(sizes) + 1)]
    urls = [f"{URL}&offset={start}" for start in starts]
    answers = {url: page(url, records=size) for url, size in zip(urls, [*sizes, 0], strict=True)}
    assert walked(pages(offset={}), answers) == urls
    total = {
        url: page(url, {"total": sum(sizes)}, size)
        for url, size in zip(urls, [*sizes, 0], strict=True)
    }
    assert walked(pages(offset={"totalRecords": "$.total"}), total) == urls[:-1]


@given(st.dictionaries(st.integers(0, 9), st.integers(0, 9), min_size=1))
def test_links_that_lead_anywhere_end(links: dict[int, int]) -> None:
    """However the pages are linked, the walk ends or says that it goes in a loop."""
    way = pages(nextUrl={"path": "$.next"})
    answers = {URL: page(document={"next": "/p?n=0"})}
    for number in range(10):
        document = {"next": f"/p?n={links[number]}"} if number in links else {}
        answers[f"http://api/p?n={number}"] = page(f"http://api/p?n={number}", document)
    looped = False
    try:
        found = walked(way, answers)
    except PaginationError:
        looped = True
    assert looped or len(found) == len(set(found)) <= 11


def test_pages_are_counted_from_the_first() -> None:
    urls = [f"{URL}&p={number}" for number in range(3)]
    answers = {url: page(url, records=int(url != urls[2])) for url in urls}
    assert walked(pages(pageNumber={"parameter": "p", "first": 0}), answers) == urls
    answers = {url: page(url, {"pages": "2"}) for url in urls}
    way = pages(pageNumber={"parameter": "p", "first": 0, "totalPages": "$.pages"})
    assert walked(way, answers) == urls[:2]


@pytest.mark.parametrize("more", [False, None, 0, "", []])
def test_the_last_page_says_that_it_is(more: object) -> None:
    document = {"cursor": "always-there", "more": more}
    way = pages(cursor={"path": "$.cursor", "parameter": "after"}, more="$.more")
    assert walked(way, {URL: page(document=document)}) == [URL]


def test_where_more_follow_an_empty_page_is_not_the_last() -> None:
    urls = [f"{URL}&page={number}" for number in (1, 2, 3)]
    answers = {url: page(url, {"more": url != urls[2]}, records=0) for url in urls}
    assert walked(pages(pageNumber={}, more="$.more"), answers) == urls


def test_more_without_a_cursor_is_an_error() -> None:
    way = pages(cursor={"path": "$.cursor", "parameter": "after"}, more="$.more")
    with pytest.raises(PaginationError, match="a page follows, but not which"):
        walked(way, {URL: page(document={"more": True})})


def test_an_api_that_heeds_no_page_number_is_stopped_by_the_bound_of_pages() -> None:
    urls = [f"{URL}&page={number}" for number in range(1, 9)]
    with pytest.raises(PaginationError, match="more than maxPages"):
        walked(pages(pageNumber={}, maxPages=5), {url: page("http://api/same") for url in urls})


@given(st.lists(st.integers(0, 1), min_size=1, max_size=9))
@pytest.mark.parametrize("counting", ["pageNumber", "offset"])
def test_pages_that_bring_the_same_records_are_no_loop(counting: str, kinds: list[int]) -> None:
    """As fields may map them: what was asked for tells pages apart, not what came."""
    asked, walk = pages(**{counting: {}}).first(request())
    way, urls = pages(**{counting: {}}), [asked.url]
    for kind in kinds:
        found = way.follow(asked, Page({}, (b'{"kind": %d}' % kind,), asked.url), walk)
        assert found is not None
        asked, walk = found
        urls.append(asked.url)
    assert len(set(urls)) == len(urls)
    assert way.follow(asked, page(asked.url, records=0), walk) is None


def test_an_offset_that_does_not_move_is_a_loop() -> None:
    way = pages(offset={}, more="$.more")
    asked, walk = way.first(request())
    with pytest.raises(PaginationError, match="in a loop after page 1"):
        way.follow(asked, page(asked.url, {"more": True}, records=0), walk)


def test_a_cursor_in_the_body_that_comes_again_is_a_loop() -> None:
    way = pages(cursor={"path": "$.next", "parameter": "after", "place": "Body"})
    asked, walk = way.first(Request("POST", URL, CIMultiDict(), Content(document={})))
    found = way.follow(asked, page(document={"next": 7}), walk)
    assert found is not None
    with pytest.raises(PaginationError, match="in a loop after page 2"):
        way.follow(found[0], page(document={"next": 7}), found[1])


def test_the_cursor_goes_into_the_body_as_it_is() -> None:
    settings = {"path": "$.next", "parameter": "page.after", "place": "Body"}
    way = pages(cursor=settings)
    asked, walk = way.first(Request("POST", URL, CIMultiDict(), Content(document={"q": "x"})))
    found = way.follow(asked, page(document={"next": {"id": 7}}), walk)
    assert found is not None
    assert found[0].content == Content(document={"q": "x", "page": {"after": {"id": 7}}})


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/items?page=2", "http://api/items?page=2"),
        ("?page=2", "http://api/items?page=2"),
        ("http://API:80/x", "http://api/x"),
        ("http://user:pw@api/x#top", "http://api/x"),
        ("https://api/x", "https://api/x"),
        ("http://other:8080/x", "http://other:8080/x"),
    ],
)
def test_where_a_next_page_may_be(target: str, expected: str) -> None:
    way = pages(("http://other:8080",), nextUrl={"path": "$"})
    found = way.follow(*first_of(way, target))
    assert found is not None
    assert found[0].url == expected
    assert found[0].trusted == ("other" not in expected)


@pytest.mark.parametrize(
    "target",
    [
        "http://evil/x",
        "//evil/x",
        "http://api:8080/x",
        "http://other/x",
        "http://api@evil/x",
        "https://api:8443/x",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "http://[::1",
    ],
)
def test_where_it_may_not_be(target: str) -> None:
    way = pages(("http://other:8080",), nextUrl={"path": "$"})
    with pytest.raises(PaginationError, match="the next page leads to"):
        way.follow(*first_of(way, target))


def first_of(way: Pages, target: object) -> tuple[Request, Page, Any]:
    asked, walk = way.first(request())
    return asked, page(document=target), walk


def test_a_next_url_is_text() -> None:
    way = pages(nextUrl={"path": "$.next"})
    with pytest.raises(PaginationError, match="must be text, found 7"):
        way.follow(*first_of(way, {"next": 7}))


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ('<http://api/2>; rel="next"', "http://api/2"),
        ("<http://api/2>;rel=next", "http://api/2"),
        ('<http://api/1>; rel="prev", <http://api/3,4;5>; title="a; b, c"; rel="next"', "http://api/3,4;5"),
        ('</9>; rel="last next"; foo', "/9"),
        ('<http://api/2>; REL="NEXT"', "http://api/2"),
        ('<http://api/2>; rel="prev"', None),
        ('<http://api/2>; rel="nextish"', None),
        ("nonsense", None),
        ("", None),
    ],
)  # fmt: skip
def test_link_headers(header: str, expected: str | None) -> None:
    assert linked([header], "next") == expected


@given(st.text(max_size=200))
def test_no_link_header_breaks_it(header: str) -> None:
    linked([header], "next")
    linked([f"<{header}>; {header}"], "next")
