"""Front matter: what a document says about itself, which is a proposal and never more.

A block of YAML between two lines of `---` at the very beginning. It may name `id, title, owner, labels,
collection, valid_from, valid_until, facts`. Who may claim an id, and that labels only restrict, is decided
where the document is imported; authority, tenant and status are never the document's to say.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, TypeVar, cast

import yaml

from context_store.errors import ImportRefused
from context_store.provenance import OBSERVATION_PREFIX, SOURCE_ID
from ledger.canonical import CanonicalError, JsonValue, canonical
from policies.principals import is_valid_id

MAX_FRONT_MATTER: Final = 16_384
MAX_FACTS: Final = 100
MAX_TITLE: Final = 300

_BLOCK = re.compile(r"---[ \t]*\n(.*?\n)??(?:---|\.\.\.)[ \t]*(?:\n|$)", re.DOTALL)
# A rule at the head of a text is no front matter: what follows it must look like a key.
_BEGUN = re.compile(r"---[ \t]*\n[A-Za-z_]+:(?:[ \t\n])")
_NOT_ITS_TO_SAY: Final = ("authority", "tenant", "version", "status", "release", "reviewed_by", "published")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Proposal:
    """What front matter proposes; None or empty where it is silent. `facts` are (name, canonical JSON of the
    value), sorted by name.

    `ignored` names the keys that mean nothing here.
    """

    id: str | None = None
    title: str | None = None
    owner: str | None = None
    labels: frozenset[str] = frozenset()
    collection: str | None = None
    valid_from_ms: int | None = None
    valid_until_ms: int | None = None
    facts: tuple[tuple[str, str], ...] = ()
    ignored: tuple[str, ...] = ()


def split_front_matter(text: str, name: str) -> tuple[Proposal, str]:
    """The proposal, and the text after it; a text without front matter is returned whole.

    Raises `ImportRefused` naming the key that is wrong.
    """
    block = _BLOCK.match(text)
    if block is None:
        if _BEGUN.match(text):
            raise ImportRefused(
                f"The front matter of {name} is never closed: end it with a line of ---, or begin the text "
                "with something else."
            )
        return Proposal(), text
    raw = block[1] or ""
    if len(raw) > MAX_FRONT_MATTER:
        raise ImportRefused(
            f"The front matter of {name} is longer than {MAX_FRONT_MATTER} characters; shorten it."
        )
    return _proposal(_load(raw, name), name), text[block.end() :]


def check_source_id(text: str, name: str) -> str:
    """`text` if it can name a source, else `ImportRefused`."""
    if SOURCE_ID.fullmatch(text) is None:
        raise ImportRefused(
            f"{text[:60]!r} cannot be the id of {name}: use 1 to 100 lower-case letters, digits, dots, dashes"
            " or underscores, beginning and ending with a letter or digit."
        )
    if text.startswith(OBSERVATION_PREFIX):
        raise ImportRefused(f"The id {text!r} of {name} begins like an observation's; choose another.")
    return text


class _Loader(yaml.SafeLoader):
    """YAML without what makes it ambiguous or explosive: no aliases, no key twice."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):  # pyright: ignore[reportUnknownMemberType]
            raise yaml.YAMLError("aliases are not allowed")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        mapping = super().construct_mapping(node, deep=deep)
        if len(mapping) != len(node.value):
            raise yaml.YAMLError("a key stands twice")
        return mapping


def _load(raw: str, name: str) -> dict[str, object]:
    try:
        # A subclass of the safe loader, so it is as safe.
        found: object = yaml.load(raw, Loader=_Loader)  # noqa: S506
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        problem = getattr(error, "problem", None) or (str(error) or type(error).__name__).splitlines()[0]
        raise ImportRefused(
            f"The front matter of {name} is not valid YAML ({problem}); correct it."
        ) from error
    if found is None:
        return {}
    if not isinstance(found, dict) or not all(
        isinstance(key, str) for key in cast("dict[object, object]", found)
    ):
        raise ImportRefused(f"The front matter of {name} is not a list of `name: value` lines; correct it.")
    return cast("dict[str, object]", found)


def _proposal(given: dict[str, object], name: str) -> Proposal:
    for key in _NOT_ITS_TO_SAY:
        if key in given:
            raise ImportRefused(
                f"The front matter of {name} sets {key!r}, which a document cannot say of itself; remove it."
            )

    def take(key: str, read: Callable[[object], T | None], wanted: str) -> T | None:
        value = given.get(key)
        if value is None:
            return None
        result = read(value)
        if result is None:
            raise ImportRefused(f"In the front matter of {name}, {key!r} must be {wanted}; correct it.")
        return result

    source_id = take("id", _text, "a text (write it in quotes)")
    valid_from = take(
        "valid_from", _instant, "a date or time after 1970, such as 2026-01-31 or 2026-01-31T12:00:00Z"
    )
    valid_until = take(
        "valid_until", _instant, "a date or time after 1970, such as 2026-01-31 or 2026-01-31T12:00:00Z"
    )
    if valid_from is not None and valid_until is not None and valid_from >= valid_until:
        raise ImportRefused(
            f"In the front matter of {name}, 'valid_until' is not after 'valid_from'; correct it."
        )
    known = {"id", "title", "owner", "labels", "collection", "valid_from", "valid_until", "facts"}
    return Proposal(
        id=check_source_id(source_id, name) if source_id is not None else None,
        title=take("title", _title, f"a text of at most {MAX_TITLE} characters"),
        owner=take("owner", _name, "the id of a person"),
        labels=take("labels", _labels, "a list of labels such as [finance, internal]") or frozenset(),
        collection=take("collection", _name, "one name such as policies"),
        valid_from_ms=valid_from,
        valid_until_ms=valid_until,
        facts=take("facts", _facts, f"at most {MAX_FACTS} lines of `name: text, number or true/false`") or (),
        ignored=tuple(sorted(key[:60] for key in given if key not in known)),
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _title(value: object) -> str | None:
    if not isinstance(value, str) or not value.strip() or len(value) > MAX_TITLE:
        return None
    return " ".join(value.split())


def _name(value: object) -> str | None:
    return value if isinstance(value, str) and is_valid_id(value) else None


def _labels(value: object) -> frozenset[str] | None:
    listed = cast("list[object]", value) if isinstance(value, list) else [value]
    names = [name for label in listed if (name := _name(label)) is not None]
    return frozenset(names) if len(names) == len(listed) else None


def _instant(value: object) -> int | None:
    """Milliseconds since the epoch.

    A date alone stands for its first moment in UTC; a time without a zone is UTC.
    """
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=UTC)
    if not isinstance(value, datetime):
        return None
    zoned = value if value.tzinfo else value.replace(tzinfo=UTC)
    ms = (zoned - _EPOCH) // timedelta(milliseconds=1)
    return ms if ms >= 0 else None


def _facts(value: object) -> tuple[tuple[str, str], ...] | None:
    if not isinstance(value, dict) or len(cast("dict[object, object]", value)) > MAX_FACTS:
        return None
    facts: list[tuple[str, str]] = []
    for name, fact in cast("dict[object, object]", value).items():
        spelled = _scalar(fact)
        if not isinstance(name, str) or not is_valid_id(name) or spelled is None:
            return None
        facts.append((name, spelled))
    return tuple(sorted(facts))


def _scalar(value: object) -> str | None:
    """A fact's value as canonical JSON, so that 30, 30.0 and nothing else are one value; dates are compared
    as text.
    """
    if isinstance(value, date):
        value = value.isoformat()
    if not isinstance(value, str | int | float | bool):
        return None
    try:
        return canonical(cast("JsonValue", value)).decode()
    except CanonicalError:
        return None
