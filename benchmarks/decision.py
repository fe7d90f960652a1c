"""What one policy decision costs, alone on one core: asked for the first time, and asked again.

Ours is the whole of `PolicySet.decide`, from a question to a decision with its reasons. The peers ask Cedar
the same with the shipped policies: as texts, which is how one begins with cedarpy, and with handles that were
parsed before, which is all that Cedar itself takes. Every answer is compared, so nothing is fast by being
wrong.
"""

# pyright: reportUnknownMemberType=false
# (cedarpy's signatures say plain `dict`.)

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from time import process_time
from typing import Any

import cedarpy

from benchmarks.calls import WrongAnswer
from benchmarks.registry import Extent
from benchmarks.rounds import Rounds, in_turn
from benchmarks.rows import Row
from policies.cedar import DEFAULT_FOLDER, SCHEMA_FILE, PolicySet
from policies.decisions import Question, use_tool
from policies.policy_files import read_policy_files
from policies.principals import Agent

QUESTIONS = 1_000
"""Different questions in each round; every other one is denied."""

MOST_US = 125.0
"""What a decision may take: 8,000 and more each second."""

NEW, AGAIN = "a question asked for the first time", "a question asked again"
HANDLES, TEXTS = "cedarpy with parsed handles", "cedarpy with texts"


def measure(extent: Extent) -> list[Row]:
    """Microseconds of one core's time for each decision: the median over the rounds."""
    ours, handles, texts = PolicySet.load(DEFAULT_FOLDER), _with_handles(), _with_texts()
    times: Rounds[str] = Rounds()

    def mine(question: Question) -> bool:
        return ours.decide(question).allowed

    for number in range(extent.rounds):
        asked = [_question(number, which) for which in range(QUESTIONS)]
        few = asked[:100]  # texts are parsed again for each question
        sides = {NEW: (mine, asked), HANDLES: (handles, asked), TEXTS: (texts, few)}
        for name in in_turn(list(sides), number):
            times.add(name, [_each_us(*sides[name])])
        times.add(AGAIN, [_each_us(mine, asked)])  # asked just now, so the answer is remembered
    return [
        Row("decision", metric, "µs", times.typical(metric), times.typical(peer), peer, most=MOST_US)
        for metric in (NEW, AGAIN)
        for peer in (HANDLES, TEXTS)
    ]


def _each_us(decide: Callable[[Question], bool], questions: Sequence[Question]) -> float:
    """Microseconds of this process's time for each question: what else the machine does is not counted."""
    begin = process_time()
    answers = [decide(question) for question in questions]
    took = process_time() - begin
    if answers != [which % 2 == 0 for which in range(len(questions))]:
        raise WrongAnswer("a decision was not the one that the shipped policies give")
    return took / len(questions) * 1e6


def _question(number: int, which: int) -> Question:
    agent = Agent(f"agent-{number}-{which}", "acme", "owen")
    return use_tool(
        agent,
        "desk__refund_order",
        "acme",
        run_owner=agent.id,
        in_scope=True,
        step_kind="execute",
        effect="write",
        sensitive=False,
        approved=which % 2 == 0,
        people=1,
    )


def _with_handles() -> Callable[[Question], bool]:
    policies, schema = _policies()
    return _asking(cedarpy.PolicySet.from_str(policies), cedarpy.Schema.from_str(schema))


def _with_texts() -> Callable[[Question], bool]:
    return _asking(*_policies())


def _policies() -> tuple[str, str]:
    files = dict(read_policy_files(DEFAULT_FOLDER))
    schema = files.pop(SCHEMA_FILE)
    return "\n".join(files.values()), schema


def _asking(policies: Any, schema: Any) -> Callable[[Question], bool]:
    """Ask Cedar as its documentation shows: entities as a list, the context as a mapping."""

    def decide(question: Question) -> bool:
        who, what = question.principal, question.resource
        assert isinstance(who, Agent)
        uid, rid = {"type": "Agent", "id": who.id}, {"type": what.kind, "id": what.id}
        own = {"id": who.id, "tenant": who.tenant, "owner": who.owner, "labels": sorted(who.labels)}
        entities: list[dict[str, Any]] = [
            {"uid": uid, "attrs": own, "parents": []},
            {"uid": rid, "attrs": {"id": what.id, "tenant": what.tenant}, "parents": []},
        ]
        request = {
            "principal": uid,
            "action": {"type": "Action", "id": question.action},
            "resource": rid,
            "context": json.dumps(dict(question.facts)),
        }
        return cedarpy.is_authorized(request, policies, entities, schema).allowed

    return decide
