"""The policy set: what the shipped policies decide, what does not load, and that every doubt is a denial."""

from __future__ import annotations

import re
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
    SHAPES,
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

CLERK = Agent("clerk", "acme", "owen", frozenset({"hr"}))
SHIPPED = PolicySet.load(DEFAULT_FOLDER)
SCHEMA = (DEFAULT_FOLDER / cedar.SCHEMA_FILE).read_text()


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
        "people": 1,
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
    "an agent reads with a label that it does not hold": (
        read_evidence(CLERK, "run_1", "acme", run_owner="clerk", labels=("hr", "board")),
        False,
        "labels-must-be-held",
    ),
    "a sensitive write that one person approves": (
        tool(sensitive=True),
        False,
        "sensitive-writes-need-two-people",
    ),
    "a sensitive write that two people approve": (
        tool(sensitive=True, people=2),
        True,
        "agents-use-the-tools-of-their-step",
    ),
    "a sensitive read": (
        tool(sensitive=True, effect="read", approved=False, people=0),
        True,
        "agents-use-the-tools-of-their-step",
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
    "a fact twice": replace(tool(), facts=(*tool().facts[1:], tool().facts[1])),
    "a number that is a text": put(tool(), "people", "2"),
    "a label that is no text": put(
        read_evidence(CLERK, "run_1", "acme", run_owner="clerk", labels=()), "labels", (1,)
    ),
    "an action that there is not": replace(tool(), action="fly"),  # pyright: ignore[reportArgumentType]
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
    assert len(set(SHIPPED.ids)) == len(SHIPPED.ids) == 16


def test_the_schema_and_the_shapes_say_the_same() -> None:
    """Policies are held to the schema, questions to their shapes: a policy may use what a shape names, and
    nothing else.
    """
    using = {"text": 'context.{0} == "x"', "texts": 'context.{0}.contains("x")', "yes or no": "context.{0}"}
    using["number"] = "context.{0} > 1"
    for action, shape in SHAPES.items():
        for who in shape.principals:
            scope = f'principal is {who}, action == Action::"{action}", resource is {shape.resource}'
            for name, kind in shape.facts.items():
                used = f'@id("own") forbid ({scope}) when {{ {using[kind].format(name)} }};'
                assert PolicySet.parse({cedar.SCHEMA_FILE: SCHEMA, "own.cedar": used}, place="here")
            unknown = f'@id("own") forbid ({scope}) when {{ context.something }};'
            with pytest.raises(PolicySetRefused):
                PolicySet.parse({cedar.SCHEMA_FILE: SCHEMA, "own.cedar": unknown}, place="here")
    actions = set(re.findall(r"^action (\w+) ", SCHEMA, re.MULTILINE))
    assert actions == SHAPES.keys()
    declared = set(re.findall(r"(\w+): (?:String|Bool|Long|Set<String>)", SCHEMA.partition("action ")[2]))
    assert declared == {name for shape in SHAPES.values() for name in shape.facts}


CONDITIONS = st.sampled_from(
    [
        "true",
        "context.sensitive",
        "context.approved",
        "!context.in_scope",
        'context.effect == "read"',
        'context.step_kind == "plan"',
        'context.run_owner == "clerk"',
        "context.people >= 2",
        'principal.labels.contains("hr")',
        'resource.tenant == "acme"',
        'principal.owner == "owen"',
        'Agent::"ghost".owner == "owen"',
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
    people=st.integers(0, 3),
    tenant=st.sampled_from(["acme", "globex"]),
)
STATEMENTS = st.lists(
    st.tuples(st.sampled_from(["permit", "forbid"]), CONDITIONS), min_size=1, max_size=5, unique=True
)


def set_of(statements: list[tuple[str, str]]) -> PolicySet:
    """A set of any permits and forbids about tools, which need not keep an invariant."""
    text = "\n".join(
        f'@id("own-{number}") {effect} (principal is Agent, action == Action::"use_tool", resource) '
        f"when {{ {condition} }};"
        for number, (effect, condition) in enumerate(statements)
    )
    return PolicySet.parse({cedar.SCHEMA_FILE: SCHEMA, "own.cedar": text}, place="here")


@given(
    statements=STATEMENTS,
    forbids=st.lists(CONDITIONS, min_size=1, max_size=3),
    questions=st.lists(QUESTIONS, min_size=4, max_size=8),
)
def test_adding_a_forbid_never_allows_more(
    statements: list[tuple[str, str]], forbids: list[str], questions: list[Question]
) -> None:
    before = set_of(statements)
    after = set_of([*statements, *(("forbid", condition) for condition in forbids)])
    assert after.looser_than(before) == ()
    for question in questions:
        assert before.decide(question).allowed or not after.decide(question).allowed


@given(one=STATEMENTS, other=STATEMENTS, questions=st.lists(QUESTIONS, min_size=4, max_size=8))
def test_a_set_that_is_said_to_be_no_looser_allows_no_more(
    one: list[tuple[str, str]], other: list[tuple[str, str]], questions: list[Question]
) -> None:
    before, after = set_of(one), set_of(other)
    for question in questions:
        if not before.decide(question).allowed and after.decide(question).allowed:
            assert after.looser_than(before)


LOOSER: dict[str, tuple[list[tuple[str, str]], list[tuple[str, str]], str]] = {
    "a permit more": ([("permit", "context.sensitive")], [("permit", "true")], "own-0 permits something"),
    "a forbid less": (
        [("permit", "true"), ("forbid", "context.sensitive")],
        [("permit", "true")],
        "own-1 no longer forbids",
    ),
    "a permit that failed, and so denied": (
        [("permit", "true"), ("permit", 'Agent::"ghost".owner == "owen"')],
        [("permit", "true")],
        "own-1 could fail",
    ),
}


@pytest.mark.parametrize("sentence", LOOSER)
def test_a_set_that_may_allow_more_says_why(sentence: str) -> None:
    before, after, why = LOOSER[sentence]
    assert why in set_of(after).looser_than(set_of(before))[0]


def test_names_and_order_and_comments_loosen_nothing() -> None:
    before = set_of([("permit", "true"), ("forbid", "context.sensitive")])
    after = set_of([("forbid", "context.sensitive"), ("permit", "true")])
    assert after.looser_than(before) == ()
    assert after.digest != before.digest
