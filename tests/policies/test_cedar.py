"""The policy set: what the shipped policies decide, what does not load, and that every doubt is a denial."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies import cedar
from policies.cedar import DEFAULT_FOLDER, PolicySet
from policies.decisions import (
    Question,
    Resource,
    administer,
    curate,
    judge_approval,
    open_run,
    propose_source,
    read_evidence,
    submit_step,
    use_tool,
)
from policies.errors import PolicySetRefused
from policies.principals import Agent, Person

CLERK = Agent("clerk", "acme", "owen")
SHIPPED = PolicySet.load(DEFAULT_FOLDER)


def person(*roles: str, tenant: str = "acme") -> Person:
    return Person("rita", tenant, frozenset(roles))


def tool(**changes: Any) -> Question:
    facts: dict[str, Any] = {
        "run_owner": "clerk",
        "in_scope": True,
        "step_kind": "execute",
        "effect": "write",
        "sensitive": False,
        "approved": True,
    }
    return use_tool(CLERK, "desk__refund", changes.pop("tenant", "acme"), **(facts | changes))


def judging(*roles: str, tenant: str = "acme", owns: bool = False, four_eyes: bool = True) -> Question:
    return judge_approval(person(*roles), "req_1", tenant, owns_agent=owns, four_eyes=four_eyes)


# What is asked, and the policies that determine the answer; "" is the default denial.
DECISIONS: dict[str, tuple[Question, bool, str]] = {
    "an agent opens a run of its tenant": (open_run(CLERK, "refund", "acme"), True, "agents-open-runs"),
    "an agent opens a run elsewhere": (open_run(CLERK, "refund", "globex"), False, "tenants-are-walled"),
    "an agent reads for its own run": (
        read_evidence(CLERK, "run_1", "acme", run_owner="clerk", labels=("hr",)),
        True,
        "agents-read-evidence-of-their-run",
    ),
    "an agent reads for another's run": (
        read_evidence(CLERK, "run_1", "acme", run_owner="other", labels=()),
        False,
        "",
    ),
    "an agent uses an approved write": (tool(), True, "agents-use-the-tools-of-their-step"),
    "an agent uses a write without approval": (tool(approved=False), False, "writes-need-approval"),
    "an agent writes outside an execute step": (
        tool(step_kind="plan"),
        False,
        "writes-only-in-execute-steps",
    ),
    "an effect that nobody knows counts as a write": (
        tool(effect="harmless", approved=False),
        False,
        "writes-need-approval",
    ),
    "an agent reads with a tool": (
        tool(effect="read", step_kind="read", approved=False),
        True,
        "agents-use-the-tools-of-their-step",
    ),
    "a tool that is not of this step": (tool(in_scope=False), False, ""),
    "a tool of another's run": (tool(run_owner="other"), False, ""),
    "a tool of another tenant": (tool(tenant="globex"), False, "tenants-are-walled"),
    "an agent submits its step": (
        submit_step(CLERK, "run_1", "acme", run_owner="clerk"),
        True,
        "agents-submit-steps-of-their-run",
    ),
    "an agent submits another's step": (submit_step(CLERK, "run_1", "acme", run_owner="other"), False, ""),
    "case_80: an agent proposes a source": (
        propose_source(CLERK, "p", "acme"),
        True,
        "agents-propose-sources",
    ),
    "a curator proposes": (
        propose_source(person("curator"), "p", "acme"),
        True,
        "curators-and-reviewers-propose",
    ),
    "an admin alone proposes nothing": (propose_source(person("admin"), "p", "acme"), False, ""),
    "a reviewer judges": (judging("reviewer"), True, "reviewers-judge"),
    "an admin is no reviewer": (judging("admin", "curator"), False, ""),
    "case_31: the owner judges": (
        judging("reviewer", owns=True),
        False,
        "owners-do-not-approve-their-agents",
    ),
    "the owner judges where four eyes are not asked": (
        judging("reviewer", owns=True, four_eyes=False),
        True,
        "reviewers-judge",
    ),
    "a reviewer judges elsewhere": (judging("reviewer", tenant="globex"), False, "tenants-are-walled"),
    "a curator curates": (curate(person("curator"), "p", "acme"), True, "curators-curate"),
    "a reviewer does not curate": (curate(person("reviewer"), "p", "acme"), False, ""),
    "an admin administers": (administer(person("admin"), "freeze", "acme"), True, "admins-administer"),
    "a curator does not administer": (administer(person("curator"), "freeze", "acme"), False, ""),
    "whoever has no role does nothing": (administer(person(), "freeze", "acme"), False, ""),
}


@pytest.mark.parametrize("sentence", DECISIONS)
def test_the_shipped_policies_decide(sentence: str) -> None:
    question, allowed, policy = DECISIONS[sentence]
    decision = SHIPPED.decide(question)
    assert (decision.allowed, ",".join(decision.policies)) == (allowed, policy), decision.reason


def drop(question: Question, fact: str) -> Question:
    return replace(question, facts=tuple(item for item in question.facts if item[0] != fact))


def put(question: Question, fact: str, value: Any) -> Question:
    return replace(question, facts=(*drop(question, fact).facts, (fact, value)))


DOUBTS: dict[str, Question] = {
    "case_48: a fact is missing": drop(tool(), "approved"),
    "case_48: a fact has another type": put(tool(), "approved", 1),
    "case_48: a fact nobody declared": put(tool(), "admin", True),
    "case_48: an integer that overflows": put(tool(), "sensitive", 2**63),
    "case_80: an agent asks to curate": Question(CLERK, "curate", Resource("Source", "p", "acme")),
    "case_92: an agent asks to judge": Question(CLERK, "judge_approval", Resource("Request", "r", "acme")),
    "an action on the wrong kind of thing": replace(tool(), resource=Resource("Source", "p", "acme")),
    "a name that is half a character": replace(tool(), resource=Resource("Tool", "\ud800", "acme")),
    "an id that tries to be code": replace(tool(), resource=Resource("Nothing", '"; permit(x)', "acme")),  # pyright: ignore[reportArgumentType]
}


@pytest.mark.parametrize("sentence", DOUBTS)
def test_every_doubt_is_a_denial(sentence: str) -> None:
    decision = SHIPPED.decide(DOUBTS[sentence])
    assert not decision.allowed
    assert decision.reason


def test_an_answer_is_remembered_for_exactly_its_question() -> None:
    """To Python `True == 1`; to Cedar, and to the memory of answers, it is another question."""
    assert SHIPPED.decide(put(tool(), "approved", value=True)).allowed
    assert not SHIPPED.decide(put(tool(), "approved", 1)).allowed
    assert SHIPPED.decide(tool()) is SHIPPED.decide(tool())


def copy_of_shipped(folder: Path) -> Path:
    return Path(shutil.copytree(DEFAULT_FOLDER, folder / "policies"))


def with_policy(folder: Path, text: str) -> PolicySet:
    copied = copy_of_shipped(folder)
    (copied / "own.cedar").write_text(text)
    return PolicySet.load(copied)


@pytest.mark.parametrize(
    "condition",
    [
        'Agent::"ghost".tenant == "acme"',
        "if context.approved then 9223372036854775807 + 1 == 0 else false",
    ],
)
def test_case_48_a_forbid_that_errors_lets_nothing_through(tmp_path: Path, condition: str) -> None:
    """Cedar alone skips it and allows: a ghost entity has no attributes, and a sum may overflow."""
    text = f'@id("own") forbid (principal, action == Action::"use_tool", resource) when {{ {condition} }};'
    decision = with_policy(tmp_path, text).decide(tool())
    assert not decision.allowed
    assert decision.reason.startswith("an error denies")


BROKEN: dict[str, tuple[str, Callable[[Path], object]]] = {
    "no schema": (r"cedarschema cannot be read", lambda f: (f / cedar.SCHEMA_FILE).unlink()),
    "a schema that is none": (
        "not a Cedar schema",
        lambda f: (f / cedar.SCHEMA_FILE).write_text("entity A = { x: Foo };"),
    ),
    "no policies": ("no \\*.cedar", lambda f: [path.unlink() for path in f.glob("*.cedar")]),
    "no Cedar": ("own.cedar is not Cedar", lambda f: (f / "own.cedar").write_text("permit(principal,")),
    "no UTF-8": ("own.cedar is not UTF-8", lambda f: (f / "own.cedar").write_bytes(b"\xff\xfe")),
    "a file without end": (
        "own.cedar is larger",
        lambda f: (f / "own.cedar").write_bytes(b" " * (cedar.MAX_FILE_BYTES + 1)),
    ),
    "a policy without a name": (
        "without a name",
        lambda f: (f / "own.cedar").write_text("permit (principal, action, resource);"),
    ),
    "one name twice in a file": (
        "uses one @id",
        lambda f: (f / "own.cedar").write_text('@id("a") permit (principal, action, resource);' * 2),
    ),
    "one name in two files": (
        "rename one",
        lambda f: (f / "own.cedar").write_text(
            '@id("reviewers-judge") permit (principal, action, resource);'
        ),
    ),
    "a word that the schema does not know": (
        "own.cedar, policy 'a', does not fit",
        lambda f: (f / "own.cedar").write_text(
            '@id("a") permit (principal, action == Action::"use_tool", resource) when { context.aproved };'
        ),
    ),
    "an action that there is not": (
        "does not fit",
        lambda f: (f / "own.cedar").write_text(
            '@id("a") permit (principal, action == Action::"delete", resource);'
        ),
    ),
    "a template": (
        "template",
        lambda f: (f / "own.cedar").write_text(
            '@id("a") permit (principal == ?principal, action, resource);'
        ),
    ),
}


@pytest.mark.parametrize("sentence", BROKEN)
def test_case_47_a_broken_folder_does_not_load_and_names_the_file(tmp_path: Path, sentence: str) -> None:
    message, spoil = BROKEN[sentence]
    folder = copy_of_shipped(tmp_path)
    spoil(folder)
    with pytest.raises(PolicySetRefused, match=message) as refused:
        PolicySet.load(folder)
    assert str(folder) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_digest_names_exact_files(tmp_path: Path) -> None:
    folder = copy_of_shipped(tmp_path)
    assert PolicySet.load(folder).digest == SHIPPED.digest
    (folder / "people.cedar").rename(folder / "persons.cedar")
    renamed = PolicySet.load(folder).digest
    (folder / "persons.cedar").write_text((folder / "persons.cedar").read_text() + "\n")
    assert len({SHIPPED.digest, renamed, PolicySet.load(folder).digest}) == 3


def test_every_shipped_policy_has_a_name_of_its_own() -> None:
    assert len(set(SHIPPED.ids)) == len(SHIPPED.ids) == 13


CONDITIONS = st.sampled_from(
    [
        "true",
        "context.sensitive",
        "context.approved",
        "!context.in_scope",
        'context.effect == "read"',
        'context.step_kind == "plan"',
        'context.run_owner == "clerk"',
        'resource.tenant == "acme"',
        'principal.owner == "owen"',
        "1 + 9223372036854775807 > 0",
    ]
)
QUESTIONS = st.builds(
    tool,
    run_owner=st.sampled_from(["clerk", "other"]),
    in_scope=st.booleans(),
    step_kind=st.sampled_from(["read", "plan", "execute"]),
    effect=st.sampled_from(["read", "lookup", "simulate", "write", "?"]),
    sensitive=st.booleans(),
    approved=st.booleans(),
    tenant=st.sampled_from(["acme", "globex"]),
)


@given(conditions=st.lists(CONDITIONS, min_size=1, max_size=3), question=QUESTIONS)
def test_adding_a_forbid_never_allows_more(
    tmp_path_factory: pytest.TempPathFactory, conditions: list[str], question: Question
) -> None:
    forbids = "\n".join(
        f'@id("own-{number}") forbid (principal is Agent, action == Action::"use_tool", resource) '
        f"when {{ {condition} }};"
        for number, condition in enumerate(conditions)
    )
    stricter = with_policy(tmp_path_factory.mktemp("set"), forbids)
    assert not stricter.decide(question).allowed or SHIPPED.decide(question).allowed
