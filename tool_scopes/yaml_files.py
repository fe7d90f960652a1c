"""Reading the YAML files that admins write: strictly, and with errors that name the file and the line.

A mistake in a workflow or a catalogue widens or narrows what an agent may do, so nothing is guessed: a key
that is written twice, a key that nobody knows and a value of the wrong type are all refused with the place
where they stand.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, TypeVar, cast

import yaml
from pydantic import BaseModel, ValidationError

ModelT = TypeVar("ModelT", bound=BaseModel)
Location = tuple[str | int, ...]

MAX_BYTES = 1_048_576
"""The largest file that is read, in bytes: a file written by a person is far smaller."""


class FileRefused(ValueError):
    """A file cannot be used. The message names the file and the line, and says what to change."""


class _StrictLoader(yaml.SafeLoader):
    """YAML's safe subset, without the trap that a repeated key silently replaces the first one."""


def _mapping_without_repeats(loader: _StrictLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    loader.flatten_mapping(node)
    mapping: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        key = cast(Any, loader.construct_object(key_node, deep=True))  # pyright: ignore[reportUnknownMemberType]
        if key in mapping:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {key!r} stands twice", key_node.start_mark
            )
        mapping[key] = loader.construct_object(value_node, deep=True)  # pyright: ignore[reportUnknownMemberType]
    return mapping


# YAML 1.1 takes on, off, yes and no for booleans, so that a key such as `on` would become True. Here only
# true and false are.
_BOOLEAN = "tag:yaml.org,2002:bool"
_StrictLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != _BOOLEAN]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_StrictLoader.add_implicit_resolver(  # pyright: ignore[reportUnknownMemberType]
    _BOOLEAN, re.compile(r"true|false"), list("tf")
)
_StrictLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping_without_repeats)


def read_text_file(path: Path) -> str:
    """The text of a UTF-8 file. Raises FileRefused when it is missing, unreadable, empty, too large or not
    text.
    """
    try:
        if path.exists() and not path.is_file():
            # A pipe or a device would never end.
            raise FileRefused(f"{path}: is not a regular file; name a file")
        raw = path.read_bytes()
    except OSError as error:
        raise FileRefused(f"{path}: cannot be read ({error.strerror}); name a readable file") from None
    if len(raw) > MAX_BYTES:
        raise FileRefused(f"{path}: {len(raw)} bytes, the limit is {MAX_BYTES}; split it")
    if not raw.strip():
        raise FileRefused(f"{path}: is empty; see the examples in the documentation for what stands in it")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FileRefused(f"{path}: is not UTF-8 text (byte {error.start}); save it as UTF-8") from None


def parse_yaml(source: str, model: type[ModelT], *, path: str) -> ModelT:
    """The one mapping of a YAML text as `model`. Raises FileRefused naming `path` and the line."""
    try:
        loader = _StrictLoader(source)
    except yaml.reader.ReaderError as error:
        line = source.count("\n", 0, error.position) + 1
        raise FileRefused(f"{path}:{line}: holds a character that YAML does not allow; remove it") from None
    try:
        root = loader.get_single_node()  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        data = _mapping_without_repeats(loader, root) if isinstance(root, yaml.MappingNode) else None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise FileRefused(
            f"{path}:{line}: is not well-formed YAML: {error.problem or error.context}"
        ) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise FileRefused(f"{path}: is not well-formed YAML: {error}") from None
    finally:
        loader.dispose()  # pyright: ignore[reportUnknownMemberType]
    if data is None:
        raise FileRefused(f"{path}:1: holds no mapping of keys to values at its top; see the examples")
    try:
        return model.model_validate(data)
    except ValidationError as error:
        # A misspelt key is also a missing one: name the spelling, which is what the person has to mend.
        first = min(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        line = line_of(cast(yaml.Node, root), first["loc"])
        raise FileRefused(f"{path}:{line}: {where}: {_sentence(first['type'], first['msg'])}") from None


def line_of(root: yaml.Node, location: Location) -> int:
    """The line (from 1) on which the value at `location` stands, or its nearest enclosing place."""
    node, line = root, root.start_mark.line + 1
    for part in location:
        found: yaml.Node | None = None
        if isinstance(node, yaml.MappingNode):
            for key_node, value_node in node.value:
                if str(key_node.value) == str(part):
                    line, found = key_node.start_mark.line + 1, value_node
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            found = cast(yaml.Node, node.value[part])
            line = found.start_mark.line + 1
        if found is None:
            break
        node = found
    return line


def line_in(source: str, location: Location) -> int:
    """`line_of` for a text that has already been parsed once."""
    loader = _StrictLoader(source)
    try:
        root = loader.get_single_node()  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        return line_of(cast(yaml.Node, root), location)
    finally:
        loader.dispose()  # pyright: ignore[reportUnknownMemberType]


def _sentence(kind: str, message: str) -> str:
    if kind == "extra_forbidden":
        return "nobody knows this key; remove it or mend its spelling"
    if kind == "missing":
        return "is missing; add it"
    return message.removeprefix("Value error, ")
