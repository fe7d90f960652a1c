"""Why a decision is what it is: which policies made it, what they say, and what would change it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from policies.decisions import SHAPES, Decision, FactValue, Question
from policies.invariants import in_words
from policies.principals import Agent


class Explains(Protocol):
    """What an explanation asks of a policy set."""

    def decide(self, question: Question) -> Decision:
        """The answer to a question."""
        ...

    def says(self, decision: Decision) -> tuple[str, ...]:
        """What an agent may read of the policies that determined a decision."""
        ...

    def text_of(self, policy: str) -> str:
        """One policy as Cedar writes it."""
        ...

    def texts_about(self, attribute: str) -> frozenset[str]:
        """Every text that the policies might compare this attribute with."""
        ...


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision with its reasons. `changes` are single things that, were they so, would turn the answer."""

    question: str
    decision: Decision
    says: tuple[str, ...]
    texts: tuple[str, ...]
    changes: tuple[str, ...]


def explain(policies: Explains, question: Question) -> Explanation:
    """The decision about `question`, and why."""
    decision = policies.decide(question)
    turned = [
        what
        for what, other in _otherwise(policies, question)
        if policies.decide(other).allowed != decision.allowed
    ]
    return Explanation(
        question=in_words(question),
        decision=decision,
        says=policies.says(decision),
        texts=tuple(policies.text_of(policy) for policy in decision.policies),
        changes=tuple(dict.fromkeys(turned)),
    )


def words_for_agent(policies: Explains, decision: Decision) -> str:
    """What an agent may read about a decision on its own step: what the policies say of themselves."""
    return " ".join(policies.says(decision)) or "No policy allows it."


def _otherwise(policies: Explains, question: Question) -> Iterator[tuple[str, Question]]:
    """The same question with one thing different: a fact, the tenant, a role or a label."""
    kinds = SHAPES[question.action].facts
    for name, value in question.facts:
        for other in _other_values(policies, question, name, kinds.get(name, "text"), value):
            facts = tuple((fact, other if fact == name else old) for fact, old in question.facts)
            yield f"{name} were {_said(other)}", replace(question, facts=facts)
    who, what = question.principal, question.resource
    if what.tenant != who.tenant:
        own = replace(what, tenant=who.tenant)
        yield f"the {what.kind.lower()} were of tenant {who.tenant}", replace(question, resource=own)
    if isinstance(who, Agent):
        labels = dict(question.facts).get("labels")
        asked = frozenset(labels if isinstance(labels, tuple) else ())
        if not asked <= who.labels:
            holding = replace(who, labels=who.labels | asked)
            yield f"{who.id} held the labels {', '.join(sorted(asked))}", replace(question, principal=holding)
        return
    for role in ("reviewer", "curator", "admin"):
        changed = replace(who, roles=who.roles ^ {role})
        how = "did not have" if role in who.roles else "had"
        yield f"{who.id} {how} the role {role}", replace(question, principal=changed)


def _other_values(
    policies: Explains, question: Question, name: str, kind: str, value: FactValue
) -> tuple[FactValue, ...]:
    if kind == "yes or no":
        return (not value,)
    if kind == "number":
        return tuple(
            number for number in (0, 1, 2, 3, *((50, 100) if name == "confidence" else ())) if number != value
        )
    if kind == "texts":
        return ((),) if value else ()
    usual: dict[str, tuple[str, ...]] = {
        "run_owner": (question.principal.id, "somebody else"),
        "effect": ("read", "lookup", "simulate", "write"),
        "step_kind": ("read", "classify", "plan", "draft", "execute"),
    }
    known = (*usual.get(name, ()), *sorted(policies.texts_about(name) if name not in usual else ()))
    return tuple(text for text in known if text != value)


def _said(value: FactValue) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(value) or "none" if isinstance(value, tuple) else str(value)
