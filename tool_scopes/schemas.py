"""JSON Schemas that upstreams wrote: compiled without fetching anything, and cut to what agents see."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Final, cast

import jsonschema_rs

from ledger.canonical import JsonObject, JsonValue

_DIALECTS: Final[Mapping[str, type[jsonschema_rs.Validator]]] = {
    "json-schema.org/draft/2020-12/schema": jsonschema_rs.Draft202012Validator,
    "json-schema.org/draft/2019-09/schema": jsonschema_rs.Draft201909Validator,
    "json-schema.org/draft-07/schema": jsonschema_rs.Draft7Validator,
}
_REFERENCES: Final = frozenset({"$ref", "$dynamicRef", "$recursiveRef"})
_IN_PLACE: Final = ("allOf", "anyOf", "oneOf")
_IN_PLACE_ONE: Final = ("if", "then", "else", "not")
# A pattern of an upstream must not hold up everybody else's calls.
_PATTERNS: Final = jsonschema_rs.FancyRegexOptions(backtrack_limit=100_000)


class SchemaRefused(ValueError):
    """A schema cannot be used. The message is one sentence."""


def compile_arguments(schema: JsonObject) -> jsonschema_rs.Validator:
    """A validator of a tool's arguments, which are always one object.

    Raises SchemaRefused like `compile_schema`.
    """
    if schema.get("type") != "object":
        raise SchemaRefused("arguments are one object, so the schema's top must say type: object")
    return compile_schema(schema)


def compile_schema(schema: JsonObject) -> jsonschema_rs.Validator:
    """A validator of a schema, in the dialect that it names (2020-12 if it names none).

    Error messages of the validator never hold the values that were judged. Raises SchemaRefused for a
    schema that is none, that is not of an object, or that refers to anything outside itself.
    """
    outside = _outside_reference(schema)
    if outside is not None:
        raise SchemaRefused(
            f"it refers to {outside[:200]!r}; only references within the schema (#…) are followed"
        )
    dialect = schema.get("$schema", "https://json-schema.org/draft/2020-12/schema")
    name = str(dialect).split("://", 1)[-1].removesuffix("#")
    if name not in _DIALECTS:
        raise SchemaRefused(
            f"its dialect {str(dialect)[:200]!r} is not known; 2020-12, 2019-09 and draft-07 are"
        )
    try:
        return _DIALECTS[name](schema, mask="the value", pattern_options=_PATTERNS, offline=True)
    except (ValueError, jsonschema_rs.ReferencingError) as error:
        raise SchemaRefused(f"it is no valid JSON Schema: {str(error).splitlines()[0]}") from None


def usable_defaults(schema: JsonObject) -> JsonObject:
    """The defaults of top-level properties, without those that their own property refuses.

    Some servers write `type: string, default: null` and mean that the argument may be left out.
    """
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        return {}
    frame: JsonObject = {key: schema[key] for key in ("$schema", "$defs", "definitions") if key in schema}
    judge = compile_schema({**frame, "type": "object", "properties": properties})
    return {
        name: part["default"]
        for name, part in properties.items()
        if isinstance(part, dict) and "default" in part and judge.is_valid({name: part["default"]})
    }


def without_arguments(schema: JsonObject, names: frozenset[str]) -> JsonObject:
    """A copy of an object schema in which nothing mentions the properties `names`.

    Also drops `x-mcp-header` annotations: they tell a client of the upstream which headers to send, and
    ours is none.
    """
    return cast("JsonObject", _without_headers(_cut(copy.deepcopy(schema), names)))


def _cut(schema: JsonObject, names: frozenset[str]) -> JsonObject:
    properties, required = schema.get("properties"), schema.get("required")
    if isinstance(properties, dict):
        schema["properties"] = {name: part for name, part in properties.items() if name not in names}
    if isinstance(required, list):
        schema["required"] = [name for name in required if name not in names]
        if not schema["required"]:
            del schema["required"]
    for key in ("dependentRequired", "dependentSchemas", "dependencies"):
        part = schema.get(key)
        if isinstance(part, dict) and names:
            schema[key] = {
                name: _cut_dependency(value, names) for name, value in part.items() if name not in names
            }
    for key in _IN_PLACE:
        branches = schema.get(key)
        if isinstance(branches, list):
            schema[key] = [_cut(branch, names) if isinstance(branch, dict) else branch for branch in branches]
    for key in _IN_PLACE_ONE:
        branch = schema.get(key)
        if isinstance(branch, dict):
            schema[key] = _cut(branch, names)
    return schema


def _cut_dependency(value: JsonValue, names: frozenset[str]) -> JsonValue:
    if isinstance(value, list):
        return [name for name in value if name not in names]
    return _cut(value, names) if isinstance(value, dict) else value


def _without_headers(value: JsonValue) -> JsonValue:
    if isinstance(value, dict):
        return {key: _without_headers(part) for key, part in value.items() if key != "x-mcp-header"}
    return [_without_headers(part) for part in value] if isinstance(value, list) else value


def _outside_reference(value: JsonValue) -> str | None:
    if isinstance(value, list):
        return next((found for part in value if (found := _outside_reference(part)) is not None), None)
    if not isinstance(value, dict):
        return None
    for key, part in value.items():
        if key in _REFERENCES and isinstance(part, str) and not part.startswith("#"):
            return part
        found = _outside_reference(part)
        if found is not None:
            return found
    return None
