"""How an item becomes its first request."""

import json
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, unquote

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_api.errors import ConfigurationError
from sluice_api.http import Http
from sluice_api.pagination import Place
from sluice_workers.fetch.http.request import Request, Requests, with_parameter
from sluice_workers.fetch.http.template import InvalidItemError, TextTemplate
from sluice_workers.fetch.item import Item

ITEM = Item(partition=0, offset=0, key=b"4711", value=b"", id="r/4711", version=1)
characters = st.characters(exclude_categories=["Cs"])
anything = st.text(characters)
text = st.text(characters, min_size=1).filter(lambda found: found not in {".", ".."})
documents = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | anything,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(anything, inner, max_size=3),
    max_leaves=12,
)


def first(item: Item, secret_headers: dict[str, str] | None = None, **http: Any) -> Request:
    settings = Http.model_validate({"url": "http://api/{key}", **http})
    return Requests(settings, secret_headers or {}).first(item)


def url(template: str, item: Item = ITEM) -> str:
    return first(item, url=template).url


def with_value(value: object) -> Item:
    return replace(ITEM, value=orjson.dumps(value))


def escaped(literal: str) -> str:
    return literal.replace("{", "{{").replace("}", "}}")


@given(text, text)
def test_what_is_filled_in_stays_one_segment_and_comes_back_whole(key: str, city: str) -> None:
    item = replace(with_value({"city": city}), key=key.encode())
    path, _, query = url("https://api.example.com/users/{key}/in/{city}?q={key}", item).partition(
        "?"
    )
    *_, found_key, _, found_city = path.split("/")
    assert (unquote(found_key), unquote(found_city)) == (key, city)
    assert unquote(query) == f"q={key}"


@given(st.lists(st.tuples(anything, st.text(characters, min_size=1)), max_size=4), anything)
def test_a_template_is_its_literals_and_its_values(parts: list[tuple[str, str]], last: str) -> None:
    names = [f"n{number}" for number in range(len(parts))]
    template = "".join(
        escaped(literal) + f"{{{name}}}" for name, (literal, _) in zip(names, parts, strict=True)
    )
    values = dict(zip(names, (value for _, value in parts), strict=True))
    found = TextTemplate.parse(template + escaped(last), "f").fill(values)
    assert found == "".join(literal + value for literal, value in parts) + last


@given(st.dictionaries(st.text(characters, min_size=1), anything, max_size=4), anything)
def test_the_query_comes_back_whole(pairs: dict[str, str], value: str) -> None:
    query = {name: escaped(each) for name, each in pairs.items()}
    found = first(with_value({"v": value}), query=query | {"v": "<{v}>"}).url
    assert parse_qsl(found.partition("?")[2], keep_blank_values=True) == [
        *(pairs | {"v": f"<{value}>"}).items()
    ]


def test_the_query_joins_the_urls_own() -> None:
    found = first(ITEM, url="http://api/x?a=1#top", query={"b": "{key}"}).url
    assert found == "http://api/x?a=1&b=4711"


@given(documents)
def test_a_body_keeps_literals_and_takes_attributes_as_they_are(value: object) -> None:
    item = with_value({"attribute": value})
    body = {"json": {"it": "{attribute}", "key": "k-{key}", "n": [1, None, True, "{{x}}"]}}
    request = first(item, method="POST", body=body)
    assert request.content is not None
    found = json.loads(request.content.data)
    assert found == {"it": value, "key": "k-4711", "n": [1, None, True, "{x}"]}
    assert request.headers["content-type"] == "application/json"


def test_text_in_a_body_cannot_break_out_of_it() -> None:
    item = with_value({"name": 'x", "admin": true, "y": "'})
    request = first(item, method="POST", body={"json": {"name": "<{name}>"}})
    assert request.content is not None
    assert json.loads(request.content.data) == {"name": '<x", "admin": true, "y": ">'}


def test_a_form_and_a_text() -> None:
    form = first(with_value({"q": "a&b=c"}), method="POST", body={"form": {"q": "{q}", "n": "1"}})
    assert form.content is not None
    assert parse_qsl(form.content.data.decode()) == [("q", "a&b=c"), ("n", "1")]
    assert form.headers["content-type"] == "application/x-www-form-urlencoded"
    headers = {"Content-Type": "application/xml"}
    xml = first(ITEM, method="PUT", body={"text": "<id>{key}</id>"}, headers=headers)
    assert xml.content is not None
    assert xml.content.data == b"<id>4711</id>"
    assert xml.headers.getall("content-type") == ["application/xml"]


def test_headers_are_templates_and_the_secrets_win() -> None:
    headers = {"X-Tenant": "t-{tenant}", "Accept": "text/json", "x-token": "visible"}
    found = first(with_value({"tenant": 7}), {"X-Token": "secret"}, headers=headers).headers
    assert found["x-tenant"] == "t-7"
    assert found.getall("accept") == ["text/json"]
    assert found.getall("x-token") == ["secret"]


@pytest.mark.parametrize("value", ["a\r\nSet-Cookie: x", "a\n", "\0"])
def test_a_header_is_one_line(value: str) -> None:
    with pytest.raises(InvalidItemError, match="must be one line"):
        first(with_value({"tenant": value}), headers={"X-Tenant": "{tenant}"})


@given(anything, st.text(characters, min_size=1), anything, anything)
def test_a_parameter_is_there_once(base: str, name: str, before: str, after: str) -> None:
    begin = first(with_value({"b": base}), query={"b": "{b}"}).url
    found = with_parameter(with_parameter(begin, name, before), name, after)
    pairs = parse_qsl(found.partition("?")[2], keep_blank_values=True)
    assert [value for each, value in pairs if each == name] == [after]
    assert name == "b" or ("b", base) in pairs


def test_a_page_can_be_wanted_in_the_body() -> None:
    request = first(ITEM, method="POST", body={"json": {"variables": {"id": "{key}"}}})
    found = request.saying("variables.page.after", Place.BODY, "c-1")
    assert found.content is not None
    assert json.loads(found.content.data) == {"variables": {"id": "4711", "page": {"after": "c-1"}}}
    assert request.content is not None
    assert json.loads(request.content.data) == {"variables": {"id": "4711"}}


def test_a_url_without_names_is_itself() -> None:
    assert url("http://api/all") == "http://api/all"


@pytest.mark.parametrize(("value", "expected"), [(3, "3"), (2.5, "2.5"), (True, "true")])
def test_numbers_and_booleans_are_written_as_in_json(value: object, expected: str) -> None:
    assert url("http://api/{page}", with_value({"page": value})) == f"http://api/{expected}"


def test_a_value_that_nothing_names_is_not_looked_at() -> None:
    assert url("http://api/{key}", replace(ITEM, value=b"\x00raw")) == "http://api/4711"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (b"", "found no such attribute; the item's attributes: none"),
        (b'{"town": 1}', "found no such attribute; the item's attributes: town"),
        (b'{"city": null}', "found null"),
        (b'{"city": ["x"]}', r'found \["x"\]'),
        (b'{"city": ".."}', "must not be empty"),
        (b'{"city": ""}', "must not be empty"),
        (b'{"city": %b1%b}' % (b"[" * 500, b"]" * 500), "too deep"),
        (b"[1]", "must be a JSON object, found list"),
        (b"{", "must be a JSON object"),
    ],
)
def test_an_item_without_the_attribute_is_invalid_and_told_why(value: bytes, message: str) -> None:
    with pytest.raises(InvalidItemError, match=message):
        url("http://api/{key}/{city}", replace(ITEM, value=value))


def test_a_body_names_what_it_lacks() -> None:
    with pytest.raises(InvalidItemError, match=r"names \{city\}, which must be one of them"):
        first(ITEM, body={"json": {"a": ["{city}"]}})


@pytest.mark.parametrize("key", [b".", b".."])
def test_a_key_that_would_change_the_path_is_invalid(key: bytes) -> None:
    with pytest.raises(InvalidItemError, match="must not be empty"):
        url("http://api/{key}", replace(ITEM, key=key))


def test_a_flawed_item_is_invalid() -> None:
    with pytest.raises(InvalidItemError, match="no key"):
        url("http://api/{key}", replace(ITEM, flaw="no key"))


@pytest.mark.parametrize("stray", ["http://api/{key", "http://api/key}", "http://api/{}", "h{{a}"])
def test_stray_braces_are_a_configuration_error(stray: str) -> None:
    with pytest.raises(ConfigurationError, match=r"source\.http\.url"):
        url(stray)


def test_a_stray_brace_in_a_body_is_told_with_its_place() -> None:
    with pytest.raises(ConfigurationError, match=r"source\.http\.body\.json\.a\[1\]\.b"):
        first(ITEM, body={"json": {"a": [1, {"b": "query { x }}"}]}})


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("http://api/städte/{key}/größe?q=ü&t=a%20b", "http://api/st%C3%A4dte/4711/gr%C3%B6%C3%9Fe?q=%C3%BC&t=a%20b"),
        ("https://bücher.example:8443/x/{key}", "https://xn--bcher-kva.example:8443/x/4711"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("http://{key}.example/ü", "http://4711.example/%C3%BC"),
        ('http://api/{{a}}|"^/{key}', "http://api/%7Ba%7D%7C%22%5E/4711"),
        ("http://[::1]:80/{key}", "http://[::1]:80/4711"),
    ],
)  # fmt: skip
def test_a_url_is_ascii_when_it_is_asked_for(template: str, expected: str) -> None:
    assert url(template) == expected


@given(anything, text)
def test_whatever_stands_in_a_path_comes_back_whole(literal: str, key: str) -> None:
    """But for what divides a URL, and for what is percent-encoded already."""
    found = url(f"http://api/{escaped(literal)}/{{key}}", replace(ITEM, key=key.encode()))
    assert found.isascii()
    assert " " not in found
    assert unquote(found) == f"http://api/{unquote(literal)}/{key}"


@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("http://{key}.bücher.example/", r"must be ASCII besides.*found '{…}.bücher.example'"),
        (f"http://{'ü' * 80}.example/", r"url: must hold a host by the rules of IDNA, found 'üü"),
    ],
)
def test_a_host_that_cannot_be_written_is_refused(template: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        url(template)


def test_the_origin_is_known_where_no_item_has_a_say_in_it() -> None:
    def origin(template: str) -> str | None:
        return Requests(Http(url=template), {}).origin

    assert origin("http://API:80/{key}") == origin("http://api?{key}") == origin("http://api")
    assert origin("http://bücher.example/{key}") == "http://xn--bcher-kva.example"
    assert origin("http://{key}/x") is origin("http://api:{key}/x") is None
