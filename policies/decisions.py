"""What the policies are asked, and what they answer.

A question is built by one of the functions below, one for each action. They are the only place that says
which facts an action needs, so a caller cannot forget one; policies/default/bailiwick.cedarschema says the
same to Cedar. A step's facts (scope, effect, labels) belong to the question, never to entities that
somebody would have to keep current.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal

from policies.principals import Agent, Person, Principal

Action = Literal[
    "open_run",
    "read_evidence",
    "use_tool",
    "submit_step",
    "leave_step",
    "propose_source",
    "judge_approval",
    "curate",
    "administer",
]
ResourceKind = Literal["Workflow", "Run", "Tool", "Source", "Request", "Installation"]
FactValue = bool | int | str | tuple[str, ...]
"""Texts in a tuple are a set to Cedar. There are no fractions: Cedar has none."""

Facts = tuple[tuple[str, FactValue], ...]


PrincipalType = Literal["Agent", "Person"]
FactType = Literal["yes or no", "number", "text", "texts"]


@dataclass(frozen=True, slots=True)
class Shape:
    """What a question about one action is made of: who asks, about what kind of thing, with which facts."""

    principals: tuple[PrincipalType, ...]
    resource: ResourceKind
    facts: Mapping[str, FactType] = field(default_factory=dict[str, FactType])


SHAPES: Final[Mapping[Action, Shape]] = MappingProxyType(
    {
        "open_run": Shape(("Agent",), "Workflow"),
        "read_evidence": Shape(("Agent",), "Run", {"run_owner": "text", "labels": "texts"}),
        "use_tool": Shape(
            ("Agent",),
            "Tool",
            {
                "run_owner": "text",
                "in_scope": "yes or no",
                "step_kind": "text",
                "effect": "text",
                "sensitive": "yes or no",
                "approved": "yes or no",
                "people": "number",
            },
        ),
        "submit_step": Shape(("Agent",), "Run", {"run_owner": "text"}),
        "leave_step": Shape(
            ("Agent",),
            "Run",
            {
                "workflow": "text",
                "step": "text",
                "step_kind": "text",
                "status": "text",
                "confidence": "number",
                "evidence": "texts",
                "bundle_tokens": "number",
                "retries": "number",
                "tool": "text",
                "target": "text",
                "sensitive": "yes or no",
            },
        ),
        "propose_source": Shape(("Agent", "Person"), "Source"),
        "judge_approval": Shape(
            ("Person",), "Request", {"owns_agent": "yes or no", "four_eyes": "yes or no"}
        ),
        "curate": Shape(("Person",), "Source"),
        "administer": Shape(("Person",), "Installation"),
    }
)
"""Every action, as the schema declares it; a test holds the two together."""


@dataclass(frozen=True, slots=True)
class Resource:
    """What is acted on; `tenant` is whose it is."""

    kind: ResourceKind
    id: str
    tenant: str


@dataclass(frozen=True, slots=True)
class Question:
    """May this principal do this to that, given these facts? Hashable: equal questions have one answer
    under one policy set.
    """

    principal: Principal
    action: Action
    resource: Resource
    facts: Facts = ()


def misfit(question: Question) -> str | None:
    """Why a question is none that its action has; None when it fits. To Cedar `1` is no `true`, so neither
    here.
    """
    shape = SHAPES.get(question.action)
    if shape is None:
        return f"there is no action {question.action}"
    if type(question.principal).__name__ not in shape.principals or question.resource.kind != shape.resource:
        return f"{question.action} is not asked of that principal or about that kind of thing"
    if len(question.facts) != len(shape.facts):
        return f"{question.action} takes the facts {', '.join(shape.facts) or '(none)'}, each once"
    for name, value in question.facts:
        kind = shape.facts.get(name)
        if kind is None or not _IS[kind](value):
            return f"{name} is no fact of {question.action}, or no {kind}"
    return None


_IS: Final[Mapping[FactType, Callable[[FactValue], bool]]] = MappingProxyType(
    {
        "yes or no": lambda value: type(value) is bool,
        "number": lambda value: type(value) is int,
        "text": lambda value: type(value) is str,
        "texts": lambda value: type(value) is tuple and all(type(text) is str for text in value),
    }
)


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer. `policies` are the ids of the policies that determined it; `reason` is for the ledger,
    not for the agent.
    """

    allowed: bool
    policies: tuple[str, ...]
    reason: str


def open_run(agent: Agent, workflow: str, tenant: str) -> Question:
    """May the agent open a run of this workflow in this tenant?"""
    return Question(agent, "open_run", Resource("Workflow", workflow, tenant))


def read_evidence(
    agent: Agent, run: str, tenant: str, *, run_owner: str, labels: tuple[str, ...]
) -> Question:
    """May the agent read evidence for its step? `run_owner` is the agent that holds the run; `labels` are
    those that it would be read with.
    """
    return Question(
        agent,
        "read_evidence",
        Resource("Run", run, tenant),
        (("labels", tuple(sorted(labels))), ("run_owner", run_owner)),
    )


def use_tool(
    agent: Agent,
    tool: str,
    tenant: str,
    *,
    run_owner: str,
    in_scope: bool,
    step_kind: str,
    effect: str,
    sensitive: bool,
    approved: bool,
    people: int = 0,
) -> Question:
    """May the agent use this tool view in the tenant's run that `run_owner` holds?

    `in_scope` says that the current step holds the tool. `approved` is the caller's promise that it redeems
    an approval of this very call before any effect, and `people` by how many people it will have been
    approved; a write without that promise is forbidden. Reads pass False and 0.
    """
    return Question(
        agent,
        "use_tool",
        Resource("Tool", tool, tenant),
        (
            ("approved", approved),
            ("effect", effect),
            ("in_scope", in_scope),
            ("people", people),
            ("run_owner", run_owner),
            ("sensitive", sensitive),
            ("step_kind", step_kind),
        ),
    )


def submit_step(agent: Agent, run: str, tenant: str, *, run_owner: str) -> Question:
    """May the agent submit the current step of this run?"""
    return Question(agent, "submit_step", Resource("Run", run, tenant), (("run_owner", run_owner),))


def leave_step(
    agent: Agent,
    run: str,
    tenant: str,
    *,
    workflow: str,
    step: str,
    step_kind: str,
    status: str,
    confidence: int,
    evidence: tuple[str, ...],
    bundle_tokens: int,
    retries: int,
    tool: str,
    target: str,
    sensitive: bool,
) -> Question:
    """May the run leave this step without a human having looked? A no opens a checkpoint and nothing else.

    `confidence` is in hundredths and, like `status`, what the agent claims; `evidence` how sufficient the
    bundles of the step were, `bundle_tokens` the size of the largest; `retries` counts refused envelopes
    about this subject over all runs of the agent; `tool` and `target` are of the proposed action, or empty.
    """
    facts: dict[str, FactValue] = {
        "bundle_tokens": bundle_tokens,
        "confidence": confidence,
        "evidence": evidence,
        "retries": retries,
        "sensitive": sensitive,
        "status": status,
        "step": step,
        "step_kind": step_kind,
        "target": target,
        "tool": tool,
        "workflow": workflow,
    }
    return Question(agent, "leave_step", Resource("Run", run, tenant), tuple(facts.items()))


def propose_source(principal: Principal, source: str, tenant: str) -> Question:
    """May the principal put a draft of this source before the curators?"""
    return Question(principal, "propose_source", Resource("Source", source, tenant))


def judge_approval(
    person: Person, request: str, tenant: str, *, owns_agent: bool, four_eyes: bool
) -> Question:
    """May the person judge this request? `owns_agent`: the requesting agent's owner, by any of their names,
    is this person.
    """
    return Question(
        person,
        "judge_approval",
        Resource("Request", request, tenant),
        (("four_eyes", four_eyes), ("owns_agent", owns_agent)),
    )


def curate(person: Person, source: str, tenant: str) -> Question:
    """May the person review, publish, supersede or retire versions of this source?"""
    return Question(person, "curate", Resource("Source", source, tenant))


def administer(person: Person, operation: str, tenant: str) -> Question:
    """May the person perform this act of administration (the name of an operation) for the tenant?"""
    return Question(person, "administer", Resource("Installation", operation, tenant))
