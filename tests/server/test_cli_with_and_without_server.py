"""A command says the same whether a server owns the data folder or the command opens it itself."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.server.office import Office, Said

READING = [
    ["person", "list"],
    ["person", "list", "--json"],
    ["agent", "list"],
    ["agent", "list", "--json"],
    ["key", "list"],
    ["source", "list"],
    ["source", "show", "returns"],
    ["release", "list"],
    ["release", "show", "1"],
    ["search", "how long can goods be returned"],
    ["search", "how long can goods be returned", "--json"],
    ["workflow", "list"],
    ["workflow", "show", "refund"],
    ["run", "list"],
    ["run", "list", "--all", "--json"],
    ["approval", "list"],
    ["approval", "list", "--all", "--json"],
    ["audit", "head", "--json"],
    ["run", "show", "run_nope"],
    ["source", "show", "nope"],
    ["release", "show", "9"],
]


@pytest.fixture
def library(office: Office, tmp_path: Path) -> Office:
    """An office with a published source and the desk's workflow."""
    text = tmp_path / "returns.md"
    text.write_text("---\ncollection: policies\n---\n# Returns\n\nGoods may be returned within 30 days.\n")
    version = office.say("source", "add", text).id
    assert office.say("source", "submit", version).code == 0
    assert office.say("source", "review", version, "--accept", by="carol").code == 0
    assert office.say("source", "publish", by="carol").id == "1"
    office.bring_the_desk()
    return office


def _told(said: Said) -> tuple[int, str, str]:
    return said.code, said.out, said.err


def test_every_reading_command_says_the_same_with_and_without_a_server(library: Office) -> None:
    # Both times the same log: a server's start and a search write entries of their own.
    with library.served():
        pass
    alone = {" ".join(words): _told(library.say(*words)) for words in READING if words[0] != "audit"}
    with library.served():
        served = {" ".join(words): _told(library.say(*words)) for words in READING if words[0] != "audit"}
    assert served == alone


def test_an_act_is_the_same_with_and_without_a_server(library: Office) -> None:
    with library.served():
        first = library.say("agent", "add", "served", "--json")
        refused = library.say("agent", "add", "served")
    second = library.say("agent", "add", "alone", "--json")
    assert refused.code == 1
    assert "There is an agent served already" in refused.err
    assert first.json.keys() == second.json.keys()
    assert [one["agent"] for one in library.say("agent", "list", "--json").json] == ["alone", "bot", "served"]


def test_a_run_opened_with_one_key_is_one_run_with_and_without_a_server(library: Office) -> None:
    words = ("run", "open", "refund", "--agent", "bot", "--idempotency-key", "monday")
    given = ("--input", '{"order_id": "o-1001", "request": "The lid is cracked."}')
    alone = library.say(*words, *given).id
    assert re.fullmatch(r"run_[0-9a-z]{26}", alone)
    with library.served():
        assert library.say(*words, *given).id == alone
        other = library.say(*words, "--input", '{"order_id": "o-1002", "request": "Late."}')
        assert other.code == 2
        assert "another input" in other.err
    shown = library.say("run", "show", alone, "--json").json
    assert (shown["workflow"], shown["step"], shown["status"]) == ("refund", "read", "open")


def test_people_who_neither_own_the_agent_nor_administer_open_no_runs(library: Office) -> None:
    said = library.say("run", "open", "refund", "--agent", "bot", by="dave")
    assert said.code == 1
    assert "dave neither owns bot nor administers" in said.err


def test_freezing_stops_new_runs_until_it_is_lifted(library: Office) -> None:
    words = ("run", "open", "refund", "--agent", "bot", "--input", '{"order_id": "o-1001", "request": "x"}')
    with library.served():
        assert library.say("freeze", "--reason", "look at this").out == "frozen\n"
        assert "it was so already" in library.say("freeze").err
        frozen = library.say(*words)
        assert frozen.code == 1
        assert "(frozen)" in frozen.err
        assert library.say("freeze", by="dave").code == 1
        assert library.say("unfreeze").out == "at work\n"
        assert library.say(*words).code == 0


def test_a_run_can_be_cancelled_by_a_reviewer_and_tells_so(library: Office) -> None:
    given = '{"order_id": "o-1001", "request": "x"}'
    run = library.say("run", "open", "refund", "--agent", "bot", "--input", given).id
    assert library.say("run", "cancel", run, "--note", "twice", by="dave").id == run
    again = library.say("run", "cancel", run, by="dave")
    assert again.code == 1
    assert "has already ended: it is cancelled" in again.err
    assert library.say("run", "list").out == ""
    assert library.say("run", "list", "--all", "--json").json[0]["status"] == "cancelled"
    trace = library.say("run", "trace", run)
    assert "opened refund version 1" in trace.out
    assert "ended: cancelled, cancelled by dave: twice" in trace.out
    resolved = library.say("run", "resolve", run, "--continue", by="dave")
    assert resolved.code == 1
    assert "waits at no checkpoint" in resolved.err
