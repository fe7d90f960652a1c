"""What no policy set may allow: the shipped set keeps it, and every way of weakening that set is caught, with
an example of what would get through.
"""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from policies.cedar import DEFAULT_FOLDER, SCHEMA_FILE, PolicySet
from policies.decisions import Question, Resource
from policies.errors import InvariantBroken, PolicySetRefused
from policies.invariants import INVARIANTS, broken_invariants
from policies.policy_files import PolicyFiles, read_policy_files
from policies.principals import Agent

FILES = read_policy_files(DEFAULT_FOLDER)
STATEMENT = re.compile(r'^@id\("([^"]+)"\)\n.*?;$', re.MULTILINE | re.DOTALL)


def changed(old: str, new: str, count: int = -1) -> PolicyFiles:
    """The shipped files with one piece of text replaced, which has to be there."""
    assert any(old in text for text in FILES.values()), old
    return {name: text.replace(old, new, count) for name, text in FILES.items()}


def added(statement: str) -> PolicyFiles:
    return {**FILES, "own.cedar": statement}


def statements() -> dict[str, str]:
    """Every shipped policy's text by its name."""
    return {
        found.group(1): found.group(0)
        for name, text in FILES.items()
        if name != SCHEMA_FILE
        for found in STATEMENT.finditer(text)
    }


def mutants() -> dict[str, PolicyFiles]:
    """Each forbid left out, and each permit without its condition."""
    made: dict[str, PolicyFiles] = {}
    for name, text in statements().items():
        if "\nforbid (" in text:
            made[f"{name}, left out"] = changed(text, "")
        elif "\nwhen {" in text:
            made[f"{name}, without its condition"] = changed(text, text[: text.index("\nwhen {")] + ";")
    return made


LABELS = "principal.labels.containsAll(context.labels)"
HARMLESS = '["read", "lookup", "simulate"]'
WALL = "principal.tenant == resource.tenant"
IN_SCOPE = "context.run_owner == principal.id && context.in_scope"
EXECUTE = 'context.step_kind == "execute"'
WEAKENED: dict[str, PolicyFiles] = {
    "a tool of another step": changed(IN_SCOPE, "true"),
    "a step's tools for everybody": changed(IN_SCOPE, 'context.run_owner != "x" && context.in_scope'),
    "one of two scope checks": changed(IN_SCOPE, "context.run_owner == principal.id"),
    "four eyes or no four eyes": changed(
        "context.four_eyes && context", "context.four_eyes && false && context"
    ),
    "a wall with a door": changed(
        WALL, f'{WALL} || (principal.tenant == "acme" && resource.tenant == "globex")'
    ),
    "a wall with a door for one": changed(WALL, f'{WALL} || principal == Agent::"robin"'),
    "a wall with a door for a pattern": changed(WALL, f'{WALL} || resource.tenant like "public-*"'),
    "an effect that is harmless now": changed(HARMLESS, '["read", "lookup", "simulate", "write"]'),
    "an effect that was forgotten": changed(
        f"!({HARMLESS}.contains(context.effect))", 'context.effect == "write"'
    ),
    "a new effect that is harmless": changed(HARMLESS, '["read", "lookup", "simulate", "append"]'),
    "an approval for all but one tool": changed(
        "unless { context.approved }", 'unless { context.approved || resource.id == "desk__note" }'
    ),
    "writes in drafts": changed(EXECUTE, '["draft", "execute"].contains(context.step_kind)'),
    "writes in a kind that there is not": changed(
        EXECUTE, '["finish", "execute"].contains(context.step_kind)'
    ),
    "one person for what is sensitive": changed("context.people >= 2", "context.people >= 1"),
    "any of the labels": changed(LABELS, "principal.labels.containsAny(context.labels)"),
    "labels but for one": changed(LABELS, f'{LABELS} || context.labels.contains("board")'),
    "curators judge": changed('contains("reviewer")', 'containsAny(["reviewer", "curator"])'),
    "admins curate": changed('contains("curator") }', 'containsAny(["curator", "admin"]) }'),
    "auditors administer": changed('contains("admin") }', 'containsAny(["admin", "auditor"]) }'),
}
ADDED: dict[str, str] = {
    "an agent that judges": (
        '@id("own") permit (principal is Person, action == Action::"judge_approval", resource) '
        "when { !context.owns_agent };"
    ),
    "one reader of everything": (
        '@id("own") permit (principal == Agent::"robin", action == Action::"read_evidence", resource);'
    ),
    "one person who administers": (
        '@id("own") permit (principal == Person::"eve", action == Action::"administer", resource);'
    ),
}
EVERY_MUTANT = mutants() | WEAKENED | {name: added(text) for name, text in ADDED.items()}


def test_the_shipped_set_keeps_every_invariant() -> None:
    assert list(broken_invariants(PolicySet.parse(FILES, place="shipped"))) == []
    assert len({invariant.name for invariant in INVARIANTS}) == len(INVARIANTS)


def test_there_is_a_mutant_of_every_forbid_and_of_every_condition() -> None:
    texts = statements().values()
    conditional = [text for text in texts if "\nforbid (" in text or "\nwhen {" in text]
    assert len(mutants()) == len(conditional) == 13


@pytest.mark.parametrize("sentence", EVERY_MUTANT)
def test_case_47_a_set_that_breaks_an_invariant_is_refused_with_an_example(sentence: str) -> None:
    with pytest.raises(InvariantBroken) as refused:
        PolicySet.from_files(EVERY_MUTANT[sentence], place="here")
    message = str(refused.value)
    assert "\n" not in message
    assert re.search(r"the invariant '[a-z-]+' is broken", message)
    assert re.search(r"For example, the (agent|person) .* may .*: permitted by ", message), message


def test_the_example_names_the_fact_that_matters() -> None:
    with pytest.raises(InvariantBroken, match=r"'writes-need-approval'.*desk__note.*approved=no"):
        PolicySet.from_files(WEAKENED["an approval for all but one tool"], place="here")


def test_a_schema_that_lets_agents_judge_does_not_help() -> None:
    schema = FILES[SCHEMA_FILE].replace(
        "action judge_approval appliesTo {\n  principal: Person",
        "action judge_approval appliesTo {\n  principal: [Person, Agent]",
    )
    assert schema != FILES[SCHEMA_FILE]
    own = '@id("own") permit (principal is Agent, action == Action::"judge_approval", resource);'
    policies = PolicySet.from_files({**added(own), SCHEMA_FILE: schema}, place="here")
    judging = Question(Agent("bot", "acme", "owen"), "judge_approval", Resource("Request", "r", "acme"))
    for facts in ((), (("four_eyes", False), ("owns_agent", False))):
        assert not policies.decide(replace(judging, facts=facts)).allowed


HARMLESS_SETS: dict[str, str] = {
    "a forbid": '@id("own") forbid (principal is Agent, action, resource) when { principal.owner == "eve" };',
    "a permit behind two conditions": (
        '@id("own") permit (principal is Person, action == Action::"propose_source", resource) '
        'when { resource.id like "draft-*" && principal.roles.contains("admin") };'
    ),
    "a permit that says what another one said": (
        '@id("own") permit (principal is Agent, action == Action::"open_run", resource);'
    ),
}


@pytest.mark.parametrize("sentence", HARMLESS_SETS)
def test_a_set_of_ones_own_that_breaks_nothing_loads(sentence: str) -> None:
    assert "own" in PolicySet.from_files(added(HARMLESS_SETS[sentence]), place="here").ids


@pytest.mark.parametrize("name", ["../own.cedar", ".own.cedar", "own.txt", "a/b.cedar"])
def test_a_set_holds_policy_files_and_no_others(name: str) -> None:
    with pytest.raises(PolicySetRefused, match="no name of a policy file"):
        PolicySet.from_files({**FILES, name: ""}, place="here")
