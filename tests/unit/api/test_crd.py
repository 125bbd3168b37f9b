"""The generated CustomResourceDefinition."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sluice_api.__main__ import render
from sluice_api.crd import definition

CHECKED_IN = Path(__file__).parents[3] / "crds" / "ingestionjob.yaml"


def nodes(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if key in schema:
            yield from nodes(schema[key], f"{path}[]")


def all_nodes() -> list[tuple[str, dict[str, Any]]]:
    version = definition()["spec"]["versions"][0]
    return list(nodes(version["schema"]["openAPIV3Schema"]))


def test_the_checked_in_file_is_what_the_models_say() -> None:
    assert CHECKED_IN.read_text() == render(), "run `make generate` and commit the result"


def test_every_node_is_structural() -> None:
    for path, node in all_nodes():
        assert "type" in node or node.get("x-kubernetes-int-or-string"), path
        assert not {"$ref", "$defs", "title", "allOf", "oneOf"} & node.keys(), path


def test_every_field_of_the_spec_is_described() -> None:
    undescribed = [
        path
        for path, node in all_nodes()
        if path.startswith(".spec") and "[]" not in path and not node.get("description")
    ]
    assert undescribed == []


def test_strings_and_lists_of_the_spec_are_bounded() -> None:
    unbounded = [
        path
        for path, node in all_nodes()
        if path.startswith(".spec")
        and (
            (node.get("type") == "string" and not {"maxLength", "enum", "pattern"} & node.keys())
            or (node.get("type") == "array" and "maxItems" not in node)
            or ("additionalProperties" in node and "maxProperties" not in node)
        )
    ]
    assert unbounded == []


def test_an_object_that_is_left_out_has_the_defaults_of_its_fields() -> None:
    spec = dict(all_nodes())
    assert spec[".spec.batch"]["default"]["minSize"] == 500
    assert spec[".spec.fetcher"]["default"]["replicas"] == {"min": 0, "max": 6}
    assert "image" not in spec[".spec.fetcher"]["default"]
    assert spec[".spec.batch.minSize"]["default"] == 500
    assert spec[".spec.batch.timeout"]["default"] == "2s"
