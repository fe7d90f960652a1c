"""Reading Cedar: the single policies of a file, what they mention, and whether one set allows no more than
another.

Nothing here asks Cedar to decide; policies/cedar.py does.
"""

# pyright: reportUnknownMemberType=false
# (cedarpy's signatures say plain `dict`.)

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Final, cast

import cedarpy
from cedarpy import pst

from policies.errors import PolicySetRefused

_NEVER_FAIL: Final = frozenset(
    {"not", "is_empty", "eq", "not_eq", "less", "less_eq", "greater", "greater_eq", "and", "or", "in"}
    | {"contains", "contains_all", "contains_any"}
)


@dataclass(frozen=True, slots=True)
class Statement:
    """One policy: its `@id`, and its `@says`, which is what an agent may read of it."""

    id: str
    says: str | None
    node: pst.Template

    @property
    def permits(self) -> bool:
        """Whether it is a `permit`; else it is a `forbid`."""
        return self.node.effect == "permit"

    def is_about(self, action: str) -> bool:
        """Whether it can apply to this action at all."""
        asked = self.node.action
        if isinstance(asked, pst.ActionEq):
            return asked.entity.id == action
        return not isinstance(asked, pst.ActionIn) or any(one.id == action for one in asked.entities)

    @property
    def may_fail(self) -> bool:
        """Whether asking it can end in an error: by a sum that overflows, or an entity that is not there."""
        return any(
            (isinstance(one, pst.UnaryOp) and one.op not in _NEVER_FAIL)
            or (isinstance(one, pst.BinaryOp) and one.op not in _NEVER_FAIL)
            or isinstance(one, pst.EntityLit)
            for one in _nodes(self.node)
        )

    def means_the_same(self, other: Statement) -> bool:
        """Whether both are the same policy, whatever they are called."""
        return replace(self.node, id="", annotations={}) == replace(other.node, id="", annotations={})


def parse_file(path: str, text: str, schema: cedarpy.Schema) -> list[Statement]:
    """The policies of one file, after it has passed the schema by itself, so that errors can name it."""
    try:
        parsed = cedarpy.policies_to_pst(text)
        result = cedarpy.validate_policies(text, schema)
    except ValueError as error:
        raise PolicySetRefused(f"{path} is not Cedar: {one_line(error)}. Correct it.") from error
    if parsed.templates:
        raise PolicySetRefused(
            f"{path} holds a template (?principal or ?resource): write a policy without slots."
        )
    names: dict[str, str] = {}
    for position, node in parsed.static_policies.items():
        name = node.annotations.get("id")
        if not name:
            raise PolicySetRefused(f'{path} holds a policy without a name: give each policy an @id("…").')
        names[position] = name
    if len(set(names.values())) != len(names):
        raise PolicySetRefused(f"{path} uses one @id for two policies: rename one.")
    if not result.validation_passed:
        first = result.errors[0]
        where = names.get(first.policy_id, first.policy_id)
        raise PolicySetRefused(
            f"{path}, policy {where!r}, does not fit the schema: {one_line(first.error)}. Correct it."
        )
    return [
        Statement(names[position], node.annotations.get("says"), replace(node, id=names[position]))
        for position, node in parsed.static_policies.items()
    ]


def compiled(statements: Iterable[Statement]) -> cedarpy.PolicySet:
    """The statements as Cedar asks them, each under its own `@id`."""
    return cedarpy.PolicySet.from_pst(pst.PolicySet({}, {one.id: one.node for one in statements}, ()))


def in_words_of_cedar(statement: Statement) -> str:
    """The policy as Cedar writes it."""
    return cedarpy.format_policies(str(compiled([statement])), line_width=110).strip()


def texts_about(statements: Iterable[Statement], attribute: str) -> frozenset[str]:
    """Every text that stands in a policy which looks at `attribute`: what it might be compared with."""
    return frozenset(
        text
        for statement in statements
        if attribute in set(_attributes(statement.node))
        for text in _texts(statement.node)
    )


def entities_named(statements: Iterable[Statement], kind: str) -> frozenset[str]:
    """The ids of entities of one kind that policies name directly, as in `principal == Agent::"x"`."""
    return frozenset(
        uid.id for statement in statements for uid in pst.entity_uids(statement.node) if str(uid.type) == kind
    )


def loosenings(before: Sequence[Statement], after: Sequence[Statement]) -> tuple[str, ...]:
    """Why `after` may allow more than `before`; empty when it surely does not.

    Adding a forbid never allows more, and neither does taking a permit away, unless it could fail while it is
    asked: an error denies. Everything else might allow more, so everything else is named.
    """
    new = [
        f"{one.id} permits something that was not permitted so before"
        for one in after
        if one.permits and not any(one.means_the_same(old) for old in before if old.permits)
    ]
    gone = [
        f"{old.id} no longer forbids what it forbade before"
        for old in before
        if not old.permits and not any(old.means_the_same(one) for one in after if not one.permits)
    ]
    failing = [
        f"{old.id} could fail, which denied, and is gone"
        for old in before
        if old.permits and old.may_fail and not any(old.means_the_same(one) for one in after)
    ]
    return (*new, *gone, *failing)


def one_line(error: object) -> str:
    """A message of Cedar's in one line."""
    return " ".join(str(error).split()).rstrip(".")


def _nodes(node: object) -> Iterator[Any]:
    """The node and everything below it; a stack, so that depth is bounded by memory alone."""
    stack: list[object] = [node]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            stack.extend(cast("dict[str, object]", value).values())
        elif isinstance(value, tuple):
            stack.extend(cast("tuple[object, ...]", value))
        elif is_dataclass(value) and not isinstance(value, type):
            yield value
            stack.extend(getattr(value, part.name) for part in fields(value) if part.name != "annotations")


def _attributes(node: pst.Template) -> Iterator[str]:
    for one in _nodes(node):
        if isinstance(one, pst.GetAttr):
            yield one.attr
        elif isinstance(one, pst.HasAttr):
            yield from one.attrs


def _texts(node: pst.Template) -> Iterator[str]:
    for one in _nodes(node):
        if isinstance(one, pst.StringLit):
            yield one.value
        elif isinstance(one, pst.Like):
            # A pattern stands for the shortest text that it matches, and for another one.
            for between in ("", "x"):
                yield "".join(
                    between if isinstance(part, pst.Wildcard) else part.value for part in one.pattern
                )
