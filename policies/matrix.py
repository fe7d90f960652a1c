"""The policy matrix: what each kind of principal may do, over every action and kind of thing, as plain lines.

Every combination of the facts that an action knows is asked; combinations with the same answer are drawn
together. So a change of a policy shows as a change of lines that a reviewer can read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Final, Protocol

from policies.decisions import SHAPES, Action, Decision, FactValue, Question, Resource
from policies.principals import Agent, Person, Principal

OWN, OTHER = "own", "other"

PRINCIPALS: Final[Mapping[str, Principal]] = {
    "agent": Agent(OWN, OWN, "owner", frozenset({"held"})),
    "reviewer": Person(OWN, OWN, frozenset({"reviewer"})),
    "curator": Person(OWN, OWN, frozenset({"curator"})),
    "admin": Person(OWN, OWN, frozenset({"admin"})),
    "person without a role": Person(OWN, OWN, frozenset()),
}
"""The kinds of principal; the agent holds one label, `held`."""

DOMAINS: Final[Mapping[str, tuple[FactValue, ...]]] = {
    "tenant": (OWN, OTHER),
    "run_owner": (OWN, OTHER),
    "labels": ((), ("held",), ("not held",)),
    "effect": ("read", "lookup", "simulate", "write"),
    "step_kind": ("read", "classify", "plan", "draft", "execute"),
    "people": (0, 1, 2),
    "workflow": ("any",),
    "step": ("any",),
    "status": ("done", "needs_approval", "needs_review", "failed"),
    "confidence": (0, 100),
    "evidence": (("sufficient",), ("insufficient",), ("contradictory",)),
    "bundle_tokens": (0, 1_000),
    "retries": (0, 10),
    "tool": ("", "any"),
    "target": ("any",),
    "yes or no": (False, True),
}
"""The values of each fact; `tenant` is that of the thing that is acted on."""


class Decides(Protocol):
    """What the matrix asks of a policy set."""

    def decide(self, question: Question) -> Decision:
        """The answer to a question."""
        ...


@dataclass(frozen=True, slots=True)
class Cell:
    """What one kind of principal may do in one action: when, as lines; `never` and `always` stand alone."""

    principal: str
    action: Action
    resource: str
    allowed: tuple[str, ...]


def matrix(policies: Decides) -> tuple[Cell, ...]:
    """Every principal kind, action and resource kind, in a fixed order."""
    return tuple(
        Cell(name, action, shape.resource, tuple(_allowed(policies, principal, action)))
        for name, principal in PRINCIPALS.items()
        for action, shape in SHAPES.items()
    )


def as_lines(cells: tuple[Cell, ...]) -> Iterator[str]:
    """The matrix as it is printed and kept in a golden file."""
    width = max(len(cell.action) for cell in cells)
    for name in dict.fromkeys(cell.principal for cell in cells):
        yield name
        for cell in cells:
            if cell.principal == name:
                for when in cell.allowed:
                    yield f"  {cell.action.ljust(width)}  {cell.resource.ljust(12)}  {when}"


def _allowed(policies: Decides, principal: Principal, action: Action) -> Iterator[str]:
    facts = dict(sorted(SHAPES[action].facts.items()))
    dimensions = {"tenant": DOMAINS["tenant"]} | {
        fact: DOMAINS.get(fact, DOMAINS.get(kind, ())) for fact, kind in facts.items()
    }
    points = [
        point
        for point in product(*dimensions.values())
        if policies.decide(_question(principal, action, dict(zip(dimensions, point, strict=True)))).allowed
    ]
    boxes = _boxes([tuple(frozenset({value}) for value in point) for point in points])
    if not boxes:
        yield "never"
    for box in boxes:
        said = [
            f"{name}={'|'.join(_said(value) for value in values if value in chosen)}"
            for (name, values), chosen in zip(dimensions.items(), box, strict=True)
            if len(chosen) < len(values)
        ]
        yield ", ".join(said) or "always"


_Box = tuple[frozenset[FactValue], ...]


def _boxes(boxes: list[_Box]) -> list[_Box]:
    """The same points in fewer boxes: those that differ in one dimension alone become one."""
    count = -1
    while count != len(boxes):
        count = len(boxes)
        for at in range(len(boxes[0]) if boxes else 0):
            merged: dict[tuple[frozenset[FactValue], ...], frozenset[FactValue]] = {}
            for box in boxes:
                others = (*box[:at], *box[at + 1 :])
                merged[others] = merged.get(others, frozenset()) | box[at]
            boxes = [(*others[:at], values, *others[at:]) for others, values in merged.items()]
    return boxes


def _question(principal: Principal, action: Action, facts: dict[str, FactValue]) -> Question:
    tenant = str(facts.pop("tenant"))
    resource = Resource(SHAPES[action].resource, "thing", tenant)
    return Question(principal, action, resource, tuple(sorted(facts.items())))


def _said(value: FactValue) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "+".join(value) or "none" if isinstance(value, tuple) else str(value)
