"""The CustomResourceDefinition, generated from the models.

Pydantic's JSON schema is turned into the subset that Kubernetes calls structural: no references, no
unions with null, no titles.
"""

from typing import Any, Final

from pydantic import BaseModel

from sluice_api import names
from sluice_api.model import rule
from sluice_api.spec import IngestionJobSpec
from sluice_api.status import IngestionJobStatus

Schema = dict[str, Any]

COLUMNS: Final = (
    ("Phase", "string", ".status.phase", "What the job is doing", 0),
    ("Progress", "string", ".status.progress", "How much of the run is written", 0),
    ("Lag", "integer", ".status.lag", "Items to fetch and records to write", 0),
    ("Fetchers", "string", ".status.fetchers", "Fetcher pods, ready and wanted", 0),
    ("Writers", "string", ".status.writers", "Writer pods, ready and wanted", 0),
    ("Failed", "integer", ".status.failed", "Keys that were given up", 0),
    ("Reason", "string", '.status.conditions[?(@.type=="Ready")].reason', "Why", 1),
    ("Age", "date", ".metadata.creationTimestamp", "When the job was created", 0),
)
_NAME_RULE: Final = rule(
    f"self.metadata.name.size() <= {names.MAX_JOB_NAME}",
    f"'metadata.name must have at most {names.MAX_JOB_NAME} characters, found %d'"
    ".format([self.metadata.name.size()])",
)
_DNS_LABEL_RULE: Final = rule(
    "!self.metadata.name.contains('.')",
    "'metadata.name must not contain dots, found \"' + self.metadata.name + '\"'",
)


def definition() -> Schema:
    """The CustomResourceDefinition of IngestionJob."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{names.PLURAL}.{names.GROUP}"},
        "spec": {
            "group": names.GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": names.KIND,
                "listKind": f"{names.KIND}List",
                "plural": names.PLURAL,
                "singular": names.KIND.lower(),
                "shortNames": ["ij"],
                "categories": ["all"],
            },
            "versions": [_version()],
        },
    }


def _version() -> Schema:
    return {
        "name": names.VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": [
            {
                "name": name,
                "type": kind,
                "jsonPath": path,
                "description": text,
                "priority": priority,
            }
            for name, kind, path, text, priority in COLUMNS
        ],
        "schema": {
            "openAPIV3Schema": {
                "description": "A stream of items from an HTTP API into a Postgres table.",
                "type": "object",
                "required": ["spec"],
                "x-kubernetes-validations": [_NAME_RULE, _DNS_LABEL_RULE],
                "properties": {
                    "apiVersion": {"type": "string"},
                    "kind": {"type": "string"},
                    "metadata": {"type": "object"},
                    "spec": structural(IngestionJobSpec),
                    "status": structural(IngestionJobStatus),
                },
            }
        },
    }


def structural(model: type[BaseModel]) -> Schema:
    """The structural schema of a model, by its outside names."""
    schema = model.model_json_schema(by_alias=True, mode="validation")
    return _structural(schema, schema.get("$defs", {}))


def _structural(schema: Schema, definitions: Schema) -> Schema:
    """One node: references resolved, ``anyOf [X, null]`` reduced to X, children likewise."""
    schema = _resolved(schema, definitions)
    kept = {key: value for key, value in schema.items() if key not in _DROPPED}
    if "properties" in kept:
        kept["properties"] = {
            name: _structural(child, definitions) for name, child in kept["properties"].items()
        }
    if isinstance(schema.get("additionalProperties"), dict):
        kept["additionalProperties"] = _structural(schema["additionalProperties"], definitions)
    if "items" in kept:
        kept["items"] = _structural(kept["items"], definitions)
        kept["items"] |= {"maxLength": length} if (length := schema.get("itemMaxLength")) else {}
    if "description" in kept:
        kept["description"] = " ".join(kept["description"].split())
    if isinstance(kept.get("default"), dict):
        kept["default"] = _without_nulls(kept["default"])
    if kept.get("default", ...) in (None, [], {}, ""):
        del kept["default"]
    return kept


_DROPPED: Final = {"title", "$defs", "additionalProperties", "itemMaxLength"}


def _resolved(schema: Schema, definitions: Schema) -> Schema:
    """A node without ``$ref`` and without null; what stands beside the reference wins."""
    beside = {key: value for key, value in schema.items() if key not in {"$ref", "anyOf", "allOf"}}
    if "$ref" in schema:
        target = _resolved(definitions[schema["$ref"].rpartition("/")[2]], definitions)
        return _with_rules_of_both(target, beside)
    if "x-kubernetes-int-or-string" in schema:
        return schema
    if "anyOf" in schema:
        (target,) = [choice for choice in schema["anyOf"] if choice.get("type") != "null"]
        return _with_rules_of_both(_resolved(target, definitions), beside)
    return schema


def _without_nulls(default: Schema) -> Schema:
    return {
        name: _without_nulls(value) if isinstance(value, dict) else value
        for name, value in default.items()
        if value is not None
    }


def _with_rules_of_both(target: Schema, beside: Schema) -> Schema:
    found = target | beside
    key = "x-kubernetes-validations"
    if key in target and key in beside:
        found[key] = target[key] + beside[key]
    return found
