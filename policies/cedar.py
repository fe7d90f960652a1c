"""The Cedar policy set: loaded whole or not at all, asked with everything it needs, closed on every doubt.

What it guards against was found by trying: Cedar skips a policy that fails to evaluate, so a `forbid` that
trips over a missing attribute or an overflow lets the request through. Hence:

* a set is refused unless every policy in it passes the schema, carries an `@id` of its own, and the set keeps
  every invariant;
* a question brings its two entities and all its facts along, and is itself held to its action's shape;
* anything but a clean Allow is a denial: NoDecision, and Allow with any error, too.
"""

# pyright: reportUnknownMemberType=false
# (cedarpy's signatures say plain `dict`; what comes out of them is given a type where it enters this module.)

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from json.encoder import encode_basestring_ascii as quoted
from pathlib import Path
from typing import Final, Self, cast

import cedarpy

from policies.decisions import SHAPES, Decision, FactValue, Question, Resource, misfit
from policies.errors import InvariantBroken, PolicySetRefused
from policies.invariants import OpenQuestion, broken_invariants
from policies.policy_files import (
    DEFAULT_FOLDER,
    MAX_FILE_BYTES,
    SCHEMA_FILE,
    PolicyFiles,
    is_policy_file,
    policy_digest,
    read_policy_files,
)
from policies.policy_syntax import (
    Statement,
    compiled,
    entities_named,
    in_words_of_cedar,
    loosenings,
    one_line,
    parse_file,
    texts_about,
)
from policies.principals import Agent, Principal

__all__ = ["DEFAULT_FOLDER", "MAX_FILE_BYTES", "SCHEMA_FILE", "PolicySet"]

MEMO_SIZE: Final = 8192
"""How many answers a policy set remembers."""

_Name = tuple[str, str]  # entity type and id


class PolicySet:
    """One immutable, validated set of policies. `digest` names its exact files; the same digest gives the
    same answers.
    """

    def __init__(self, files: PolicyFiles, statements: tuple[Statement, ...]) -> None:
        self.files = dict(files)
        self.digest = policy_digest(files)
        self.ids = tuple(one.id for one in statements)
        self._statements = statements
        # A policy that cannot apply to an action has no part in its questions: half the time of each.
        self._of_action = {
            action: compiled(one for one in statements if one.is_about(action)) for action in SHAPES
        }
        # Remembered under the very texts that Cedar would read: with Python's equality, `1` would find the
        # answer for `True`.
        self._answer = lru_cache(maxsize=MEMO_SIZE)(self._ask_cedar)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Load `bailiwick.cedarschema` and every `*.cedar` file of `folder`.

        Raises `PolicySetRefused`, naming the file and what is wrong with it, and loads nothing, if anything
        in it is not right; `InvariantBroken` if the set as a whole allows what none may allow.
        """
        return cls.from_files(read_policy_files(folder), place=str(folder))

    @classmethod
    def from_files(cls, files: PolicyFiles, *, place: str) -> Self:
        """The set that these files are; `place` says in messages where they lie. Raises as `load` does."""
        made = cls.parse(files, place=place)
        broken = next(broken_invariants(made), None)
        if broken is not None:
            raise InvariantBroken(f"The policies in {place} cannot be used: {broken}")
        return made

    @classmethod
    def parse(cls, files: PolicyFiles, *, place: str) -> Self:
        """The set that these files are, whatever it allows: to be looked at, never to be judged with."""
        for name in files:
            if not is_policy_file(name):
                raise PolicySetRefused(f"{name[:128]!r} is no name of a policy file: use NAME.cedar.")
        schema_path = f"{place}/{SCHEMA_FILE}"
        try:
            schema = cedarpy.Schema.from_str(files.get(SCHEMA_FILE, ""))
        except ValueError as error:
            raise PolicySetRefused(
                f"{schema_path} is not a Cedar schema: {one_line(error)}. Correct it."
            ) from error
        texts = {name: text for name, text in sorted(files.items()) if name != SCHEMA_FILE}
        if not texts:
            raise PolicySetRefused(
                f"{place} holds no *.cedar file, so nothing would be allowed: put policies there."
            )
        found: dict[str, Statement] = {}
        where: dict[str, str] = {}
        for name, text in texts.items():
            path = f"{place}/{name}"
            for statement in parse_file(path, text, schema):
                if statement.id in found:
                    raise PolicySetRefused(
                        f"{path} uses the @id {statement.id!r}, also in {where[statement.id]}: rename one."
                    )
                found[statement.id], where[statement.id] = statement, path
        return cls(files, tuple(found.values()))

    def decide(self, question: Question) -> Decision:
        """The answer to `question`. Never raises: whatever goes wrong is a denial that says what went
        wrong.
        """
        wrong = misfit(question)
        if wrong is not None:
            return Decision(False, (), f"the question does not fit: {wrong}")
        principal = ("Agent" if isinstance(question.principal, Agent) else "Person", question.principal.id)
        resource = (question.resource.kind, question.resource.id)
        entities = _entities(principal, question.principal, resource, question.resource)
        return self._answer(principal, question.action, resource, _context(question.facts), entities)

    def says(self, decision: Decision) -> tuple[str, ...]:
        """What an agent may read of the policies that determined a decision."""
        return tuple(one.says for one in self._statements if one.id in decision.policies and one.says)

    def text_of(self, policy: str) -> str:
        """One policy as Cedar writes it; empty when there is none of that name."""
        return next((in_words_of_cedar(one) for one in self._statements if one.id == policy), "")

    def texts_about(self, attribute: str) -> frozenset[str]:
        """Every text that the policies might compare this attribute with."""
        return texts_about(self._statements, attribute)

    def entities_named(self, kind: str) -> frozenset[str]:
        """The ids of entities of one kind that policies name directly."""
        return entities_named(self._statements, kind)

    def looser_than(self, before: PolicySet) -> tuple[str, ...]:
        """Why this set may allow more than `before`; empty when it surely does not. In doubt it may."""
        if self.files.get(SCHEMA_FILE) != before.files.get(SCHEMA_FILE):
            return (f"{SCHEMA_FILE} changed, so that nothing can be compared",)
        return loosenings(before._statements, self._statements)

    def undecided(self, question: OpenQuestion) -> tuple[str, ...]:
        """What keeps a question with unknown parts from being denied for certain: policies, or a reason.

        Empty: whatever the unknown parts are, the answer is no.
        """
        entities = json.dumps(
            [
                {"uid": {"type": kind, "id": name}, "attrs": _with_unknowns(attributes), "parents": []}
                for kind, name, attributes in (question.principal, question.resource)
            ]
        )
        request = {
            "principal": f"{question.principal[0]}::{quoted(question.principal[1])}",
            "action": f"Action::{quoted(question.action)}",
            "resource": f"{question.resource[0]}::{quoted(question.resource[1])}",
            "context": json.dumps(_with_unknowns(question.facts)),
        }
        try:
            # Without the schema: it takes an unknown part for one of the wrong type.
            answer = cedarpy.is_authorized_partial(request, self._of_action[question.action], entities)
        except (ValueError, TypeError) as error:
            return (one_line(error),)
        if answer.decision is cedarpy.Decision.Deny:
            return ()
        residuals = cast("dict[str, object]", answer.residuals)
        diagnostics = answer.diagnostics
        return (*diagnostics.reasons, *residuals, *diagnostics.errors) or ("nothing denies it",)

    def _ask_cedar(
        self, principal: _Name, action: str, resource: _Name, context: str, entities: str
    ) -> Decision:
        request = {
            "principal": {"type": principal[0], "id": principal[1]},
            "action": {"type": "Action", "id": action},
            "resource": {"type": resource[0], "id": resource[1]},
            "context": context,
        }
        try:
            # The schema held the policies when they were loaded; `misfit` holds the question, and a fifth
            # faster than Cedar does.
            answer = cedarpy.is_authorized(request, self._of_action[action], entities)
        except (ValueError, TypeError) as error:
            return Decision(False, (), f"the question cannot be read: {one_line(error)}")
        diagnostics = answer.diagnostics
        determining = tuple(sorted(diagnostics.reasons))
        if diagnostics.errors:
            return Decision(False, determining, f"an error denies: {one_line('; '.join(diagnostics.errors))}")
        if answer.decision is cedarpy.Decision.Allow and determining:
            return Decision(True, determining, f"permitted by {', '.join(determining)}")
        if determining:
            return Decision(False, determining, f"forbidden by {', '.join(determining)}")
        return Decision(False, (), "no policy permits it")


def _entities(principal_name: _Name, principal: Principal, resource_name: _Name, resource: Resource) -> str:
    """The two entities of a question as JSON: complete, so no policy meets one without its attributes.

    Written by hand, because this is a third of what a decision costs.
    """
    named = f'"id": {quoted(principal.id)}, "tenant": {quoted(principal.tenant)}'
    if isinstance(principal, Agent):
        own = f'"owner": {quoted(principal.owner)}, "labels": {_texts(principal.labels)}'
    else:
        own = f'"roles": {_texts(principal.roles)}'
    about = f'"id": {quoted(resource.id)}, "tenant": {quoted(resource.tenant)}'
    return f"[{_entity(principal_name, f'{named}, {own}')}, {_entity(resource_name, about)}]"


def _entity(name: _Name, attributes: str) -> str:
    uid = f'{{"type": {quoted(name[0])}, "id": {quoted(name[1])}}}'
    return f'{{"uid": {uid}, "attrs": {{{attributes}}}, "parents": []}}'


def _texts(texts: frozenset[str]) -> str:
    return f"[{', '.join(map(quoted, sorted(texts)))}]"


def _context(facts: tuple[tuple[str, FactValue], ...]) -> str:
    return json.dumps(dict(facts))


def _with_unknowns(values: Mapping[str, FactValue | None]) -> dict[str, object]:
    """Attributes for partial evaluation; None stands for what may be anything."""
    return {
        name: {"__extn": {"fn": "unknown", "arg": name}} if value is None else value
        for name, value in values.items()
    }
