"""What no policy set may allow, whatever an administrator writes: checked before a set is taken into force.

Each invariant is a family of questions in which only some parts are said; the others may be anything. Cedar
evaluates such a question partially and must deny it for certain. Where a part has to be said (two different
tenants, a role that is not there), it is said with a text that no policy knows and with every text that the
policies hold against it, so that an exception for one name does not slip through.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import combinations, permutations, product
from typing import Final, Protocol

from policies.decisions import SHAPES, Action, Decision, FactValue, PrincipalType, Question, Resource
from policies.principals import Agent, Person

Parts = Mapping[str, FactValue | None]
"""Attributes or facts; None stands for what may be anything."""

HARMLESS: Final = ("read", "lookup", "simulate")
_KINDS: Final = ("read", "classify", "plan", "draft", "execute")
_NEW: Final = ("somebody", "another")  # texts that no policy knows
_TYPES: Final = ("Agent", "Person", *sorted({shape.resource for shape in SHAPES.values()}))
_MOST_EXAMPLES: Final = 10_000
_ROLES: Final = tuple(
    roles for count in (3, 2, 1, 0) for roles in combinations(("admin", "curator", "reviewer"), count)
)


@dataclass(frozen=True, slots=True)
class OpenQuestion:
    """A question with unknown parts. A principal and a resource are a type, an id, and attributes."""

    principal: tuple[PrincipalType, str, Parts]
    action: Action
    resource: tuple[str, str, Parts]
    facts: Parts


class Provable(Protocol):
    """What an invariant asks of a policy set."""

    def decide(self, question: Question) -> Decision:
        """The answer to a whole question."""
        ...

    def undecided(self, question: OpenQuestion) -> tuple[str, ...]:
        """What keeps a question from being denied for certain; empty when nothing does."""
        ...

    def texts_about(self, attribute: str) -> frozenset[str]:
        """Every text that policies might compare this attribute with."""
        ...

    def entities_named(self, kind: str) -> frozenset[str]:
        """The ids of entities of one kind that policies name directly."""
        ...


Texts = Callable[[str], tuple[str, ...]]
"""For an attribute: two texts that no policy knows, and every text that policies hold against it."""


@dataclass(frozen=True, slots=True)
class Invariant:
    """One thing that no set may allow; `sentence` says what holds instead."""

    name: str
    sentence: str
    questions: Callable[[Texts], Iterable[OpenQuestion]]


def broken_invariants(policies: Provable) -> Iterator[str]:
    """Every invariant that the set does not keep, each as a sentence with a counter-example."""

    def texts(attribute: str) -> tuple[str, ...]:
        known = policies.texts_about(attribute)
        if attribute == "id":
            known |= {name for kind in _TYPES for name in policies.entities_named(kind)}
        return (*_NEW, *sorted(known - set(_NEW)))

    for invariant in INVARIANTS:
        cases = (case for question in invariant.questions(texts) for case in _undecided(policies, question))
        found = next((why for why in (_allowed(policies, *case) for case in cases) if why), None)
        if found is not None:
            rule = f"the invariant {invariant.name!r} is broken ({invariant.sentence})"
            yield f"{rule}. {found}. Correct or remove that policy."


def _undecided(policies: Provable, question: OpenQuestion) -> Iterator[tuple[OpenQuestion, tuple[str, ...]]]:
    """The question for whoever the policies know nothing of, and for everybody whom they name; only where it
    is not denied for certain.
    """
    (who, _, said), (what, _, about) = question.principal, question.resource
    for own, its in product(_each(policies, who, said), _each(policies, what, about)):
        asked = replace(question, principal=(who, *own), resource=(what, *its))
        left = policies.undecided(asked)
        if left:
            yield asked, left


def _each(policies: Provable, kind: str, attributes: Parts) -> Iterator[tuple[str, Parts]]:
    """The entity with these attributes: the one that is said, else one that nobody knows and all that are
    named.
    """
    said = attributes["id"]
    if said is not None:
        yield str(said), attributes
        return
    yield "something", attributes
    for name in sorted(policies.entities_named(kind)):
        yield name, {**attributes, "id": name}


def _allowed(policies: Provable, question: OpenQuestion, left_open_by: tuple[str, ...]) -> str | None:
    """An example of the question that is allowed, as a sentence; None when every one of them is denied.

    Partial evaluation gives up early: to it, the left side of an `&&` might fail. So what it leaves open is
    tried out, with each text that the policies know and one that they do not.
    """
    for number, example in enumerate(examples(question, policies.texts_about)):
        if number == _MOST_EXAMPLES:
            return f"There are too many cases to try because of {', '.join(left_open_by[:3])}"
        answer = policies.decide(example)
        if answer.allowed:
            return f"For example, {in_words(example)}: {answer.reason}"
    return None


def in_words(question: Question) -> str:
    """A whole question as a person reads it."""
    who, what = question.principal, question.resource
    role = "agent" if isinstance(who, Agent) else "person"
    standing = ""
    if isinstance(who, Person):
        standing = f" with {'the roles ' + ', '.join(sorted(who.roles)) if who.roles else 'no role'}"
    elif who.labels:
        standing = f" with the labels {', '.join(sorted(who.labels))}"
    facts = ", ".join(f"{name}={_said(value)}" for name, value in question.facts)
    return (
        f"the {role} {who.id} of tenant {who.tenant}{standing} may {question.action} on the "
        f"{what.kind.lower()} {what.id} of tenant {what.tenant}" + (f" when {facts}" if facts else "")
    )


def _said(value: FactValue) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "|".join(value) or "none" if isinstance(value, tuple) else str(value)


def examples(question: OpenQuestion, texts_about: Callable[[str], frozenset[str]]) -> Iterator[Question]:
    """Whole questions that are cases of this one, likely ones first."""
    (who, name, said), (_, thing, about) = question.principal, question.resource

    def choices(attribute: str, value: FactValue | None, own: str) -> tuple[FactValue, ...]:
        known = tuple(sorted(texts_about(attribute)))
        usual: dict[str, tuple[FactValue, ...]] = {
            "id": (own, *known),
            "tenant": ("acme", *known),
            "run_owner": (name, "another", *known, *sorted(texts_about("id"))),
            "effect": ("write", *HARMLESS, *known, "another"),
            "step_kind": ("execute", *_KINDS[:-1], *known, "another"),
            "people": (2, 1, 0),
            "labels": ((), *((label,) for label in known), known),
            "roles": _ROLES,
            "owner": ("another", name, *known),
        }
        return tuple(dict.fromkeys(usual.get(attribute, (True, False)))) if value is None else (value,)

    parts = [
        [(attribute, choice) for choice in choices(attribute, value, own)]
        for own, values in ((name, said), (thing, about), ("", question.facts))
        for attribute, value in values.items()
    ]
    for chosen in product(*parts):
        own, its = dict(chosen[: len(said)]), dict(chosen[len(said) : len(said) + len(about)])
        yield Question(
            _principal(who, own),
            question.action,
            Resource(SHAPES[question.action].resource, str(its["id"]), str(its["tenant"])),
            tuple(sorted(chosen[len(said) + len(about) :])),
        )


def _principal(kind: PrincipalType, own: Mapping[str, FactValue]) -> Agent | Person:
    name, tenant = str(own["id"]), str(own["tenant"])
    if kind == "Agent":
        return Agent(name, tenant, str(own["owner"]), _set(own["labels"]))
    return Person(name, tenant, _set(own["roles"]))


def _set(value: FactValue) -> frozenset[str]:
    return frozenset(value) if isinstance(value, tuple) else frozenset()


def _ask(
    action: Action,
    *,
    who: PrincipalType | None = None,
    of: Parts | None = None,
    on: Parts | None = None,
    **facts: FactValue,
) -> OpenQuestion:
    """A question about an action in which only what is given is known. `of` is said of the principal, `on` of
    the resource.
    """
    shape = SHAPES[action]
    kind: PrincipalType = who or shape.principals[0]
    own: dict[str, FactValue | None] = dict.fromkeys(
        ("id", "tenant", "owner", "labels") if kind == "Agent" else ("id", "tenant", "roles")
    )
    its: dict[str, FactValue | None] = dict.fromkeys(("id", "tenant"))
    asked: dict[str, FactValue | None] = {**dict.fromkeys(shape.facts), **facts}
    return OpenQuestion(
        (kind, "", {**own, **(of or {})}), action, (shape.resource, "", {**its, **(on or {})}), asked
    )


def _walls(texts: Texts) -> Iterator[OpenQuestion]:
    for action, shape in SHAPES.items():
        for who, (own, other) in product(shape.principals, permutations(texts("tenant"), 2)):
            yield _ask(action, who=who, of={"tenant": own}, on={"tenant": other})


def _writes(texts: Texts) -> tuple[str, ...]:
    """The effects that count as a write: every one but the three that are known to change nothing."""
    return ("write", *(effect for effect in texts("effect") if effect not in (*HARMLESS, "write")))


def _unapproved(texts: Texts) -> Iterator[OpenQuestion]:
    return (_ask("use_tool", effect=effect, approved=False) for effect in _writes(texts))


def _elsewhere(texts: Texts) -> Iterator[OpenQuestion]:
    kinds = {*_KINDS, *texts("step_kind")} - {"execute"}
    for effect, kind in product(_writes(texts), sorted(kinds)):
        yield _ask("use_tool", effect=effect, step_kind=kind)


def _alone(texts: Texts) -> Iterator[OpenQuestion]:
    for effect, people in product(_writes(texts), (1, 0)):
        yield _ask("use_tool", effect=effect, sensitive=True, people=people)


def _holders(texts: Texts) -> Iterator[OpenQuestion]:
    names = tuple(dict.fromkeys((*texts("run_owner"), *texts("id"))))
    actions: tuple[Action, ...] = ("read_evidence", "use_tool", "submit_step")
    for action, (name, holder) in product(actions, permutations(names, 2)):
        yield _ask(action, of={"id": name}, run_owner=holder)


def _of_other_steps(texts: Texts) -> Iterator[OpenQuestion]:
    # Of an agent's own run; of another's, the invariant above says it.
    names = dict.fromkeys((*texts("run_owner"), *texts("id")))
    return (_ask("use_tool", of={"id": name}, run_owner=name, in_scope=False) for name in names)


def _labels(texts: Texts) -> Iterator[OpenQuestion]:
    for held, asked in permutations(texts("labels"), 2):
        yield _ask("read_evidence", of={"labels": ()}, labels=(asked,))
        yield _ask("read_evidence", of={"labels": (held,)}, labels=(asked,))
        yield _ask("read_evidence", of={"labels": (held,)}, labels=(held, asked))


def _without(role: str, action: Action) -> Callable[[Texts], Iterator[OpenQuestion]]:
    """Everybody who holds roles, but not this one."""

    def questions(texts: Texts) -> Iterator[OpenQuestion]:
        others = sorted({"admin", "curator", "reviewer", *texts("roles")} - {role})
        for roles in ((), *((other,) for other in others), tuple(others)):
            yield _ask(action, who="Person", of={"roles": roles})

    return questions


def _nobodies(_texts: Texts) -> Iterator[OpenQuestion]:
    for action, shape in SHAPES.items():
        if "Person" in shape.principals:
            yield _ask(action, who="Person", of={"roles": ()})


def _machines(_texts: Texts) -> Iterator[OpenQuestion]:
    for action, shape in SHAPES.items():
        if "Agent" not in shape.principals:
            yield _ask(action, who="Agent")


INVARIANTS: Final = (
    Invariant("tenants-are-walled", "nobody touches what belongs to another tenant", _walls),
    Invariant("writes-need-approval", "no write without an approval", _unapproved),
    Invariant("writes-only-in-execute-steps", "no write outside an execute step", _elsewhere),
    Invariant("sensitive-writes-need-two", "no sensitive write with fewer than two people", _alone),
    Invariant("runs-belong-to-their-agents", "no agent acts in a run that another one holds", _holders),
    Invariant(
        "tools-belong-to-steps",
        "no tool that is not of the current step",
        _of_other_steps,
    ),
    Invariant("labels-must-be-held", "no evidence with a label that the agent does not hold", _labels),
    Invariant(
        "four-eyes",
        "nobody approves what their own agent asks for",
        lambda _texts: [_ask("judge_approval", four_eyes=True, owns_agent=True)],
    ),
    Invariant("only-reviewers-judge", "nobody judges but a reviewer", _without("reviewer", "judge_approval")),
    Invariant("only-curators-curate", "nobody curates but a curator", _without("curator", "curate")),
    Invariant("only-admins-administer", "nobody administers but an admin", _without("admin", "administer")),
    Invariant("nobody-without-a-role", "a person without a role does nothing", _nobodies),
    Invariant("agents-do-not-judge", "no agent judges, curates or administers", _machines),
)
"""Every invariant, in the order in which they are checked."""
