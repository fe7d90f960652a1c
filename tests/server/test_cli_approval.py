"""A reviewer sees the exact call, signs it with a key of their own, and it happens once."""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import Any

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from server.cli.approval import watch_requests
from server.cli.options import desk
from tests.server.office import Office

PAY = """\
workflow: pay
version: 1
purpose: Pay one refund.
input:
  type: object
  properties: {order_id: {type: string}}
  required: [order_id]
  additionalProperties: false
start: execute
steps:
  execute:
    kind: execute
    purpose: Pay it.
    tools: [desk__refund_order]
"""
ARGUMENTS = {"amount_cents": 1000, "reason": "The lid was cracked."}


@pytest.fixture
def served(office: Office) -> Generator[tuple[Office, str]]:
    office.bring_the_desk()
    (office.folder.workflows_dir / "pay.yaml").write_text(PAY)
    with office.served() as (url, _):
        yield office, url


async def call(url: str, key: str, tool: str, /, **arguments: Any) -> Any:
    """One call of a desk's tool, as an agent makes it; its structured answer."""
    headers = {"authorization": f"Bearer {key}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=30) as wire,
        Client(streamable_http_client(url, http_client=wire)) as client,
    ):
        return (await client.call_tool(tool, arguments)).structured_content


async def ask(office: Office, url: str, reason: str = "The lid was cracked.") -> tuple[str, dict[str, Any]]:
    """Open a run and try to refund; gives the run and the refusal."""
    run = office.say("run", "open", "pay", "--agent", "bot", "--input", '{"order_id": "o-1001"}').id
    given = {**ARGUMENTS, "reason": reason}
    refused = await call(
        url, office.bot_key, "use_tool", run_id=run, tool="desk__refund_order", arguments=given
    )
    assert refused["code"] == "approval_required"
    return run, refused["approval"]


async def test_a_write_waits_for_a_signature_and_then_happens_once(served: tuple[Office, str]) -> None:
    office, url = served
    run, approval = await ask(office, url)
    request = approval["request"]
    assert request in office.say("approval", "list", by="carol").out
    own = office.say("approval", "approve", request)
    assert own.code == 1
    assert "ada may not judge" in own.err
    approved = office.say("approval", "approve", request, by="carol")
    assert approved.id == request
    assert "the agent can make this very call now, once" in approved.err
    sent = {"run_id": run, "tool": "desk__refund_order", "arguments": ARGUMENTS}
    token = approval["approval_token"]
    other = {**sent, "arguments": {**ARGUMENTS, "amount_cents": 1001}}
    assert (await call(url, office.bot_key, "use_tool", **other, approval_token=token))[
        "code"
    ] == "approval_mismatch"
    assert (await call(url, office.bot_key, "use_tool", **sent, approval_token=token))["code"] == "done"
    assert (await call(url, office.bot_key, "use_tool", **sent, approval_token=token))[
        "code"
    ] == "approval_spent"
    late = office.say("approval", "deny", request, by="dave")
    assert late.code == 1
    trace = office.say("run", "trace", run).out
    told = [
        "opened pay version 1",
        "entered execute",
        f"asked for approval {request}",
        "approval_required: desk__refund_order",
        f"approve: {request}",
        "approval_mismatch",
        "began exe_",
        "succeeded: exe_",
        "approval_spent",
    ]
    places = [trace.index(words) for words in told]
    assert places == sorted(places)
    assert "succeeded" in office.say("run", "show", run).out
    _, after = await ask(office, url, reason="Again.")
    assert re.search(
        r"Before, on order:o-1001:\n  exe_\w+ +\S+: succeeded",
        office.say("approval", "show", after["request"]).out,
    )


async def test_a_reviewer_sees_what_would_fool_the_eye(served: tuple[Office, str]) -> None:
    office, url = served
    _, approval = await ask(office, url, reason="The l\u0456d was \u202edekcarc\u202c.")
    shown = office.say("approval", "show", approval["request"], by="dave").out
    assert "desk__refund_order on order:o-1001" in shown
    assert "amount_cents: 1000" in shown
    assert "reason: The l\\u{0456}d was \\u{202e}dekcarc\\u{202c}." in shown
    assert "! suspicious in reason: look-alike: CYRILLIC" in shown
    assert "nothing was ever done to order:o-1001" in shown
    assert "Still to sign: 1 reviewer, not ada." in shown
    assert f"bailiwick approval approve {approval['request']}" in shown


async def test_a_denial_is_final(served: tuple[Office, str]) -> None:
    office, url = served
    _, approval = await ask(office, url)
    assert "denied" in office.say("approval", "deny", approval["request"], by="dave").err
    assert office.say("approval", "approve", approval["request"], by="carol").code == 1
    assert office.say("approval", "list").out == ""
    assert office.say("approval", "list", "--all", "--json").json[0]["state"] == "denied"


async def test_nothing_is_signed_when_the_digest_is_not_that_of_the_call(
    served: tuple[Office, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from server import acting

    office, url = served
    _, approval = await ask(office, url)
    honest = acting.ask

    def lying(*given: Any) -> Any:
        result: Any = honest(*given)
        if given[3] == "approval.show":
            result["call"]["arguments"] = {"amount_cents": 1, "order_id": "o-1001", "reason": "small"}
        assert given[3] != "approval.judge", "a verdict was sent"
        return result

    monkeypatch.setattr(acting, "ask", lying)
    said = office.say("approval", "approve", approval["request"], by="carol")
    assert said.code == 1
    assert "nothing was signed" in said.err


async def test_watching_shows_each_request_once_as_it_comes(
    served: tuple[Office, str], capsys: pytest.CaptureFixture[str]
) -> None:
    office, url = served
    _, first = await ask(office, url)
    looks: list[float] = []

    def pause(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        watch_requests(desk(office.root, None, "carol"), pause)
    out = capsys.readouterr().out
    assert out.count(f"{first['request']}  pending") == 1


async def test_watching_at_a_terminal_judges_there(
    served: tuple[Office, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    office, url = served
    _, first = await ask(office, url)
    answers = ["y"]
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)

    def answer(_prompt: str) -> str:
        return answers.pop()

    monkeypatch.setattr("builtins.input", answer)

    def pause(_seconds: float) -> None:
        raise KeyboardInterrupt

    # As the agent's owner: the rule's sentence is shown, and the watch goes on.
    with pytest.raises(KeyboardInterrupt):
        watch_requests(desk(office.root, None, "ada"), pause)
    assert "ada may not judge" in capsys.readouterr().err
    answers.append("y")
    with pytest.raises(KeyboardInterrupt):
        watch_requests(desk(office.root, None, "carol"), pause)
    assert office.say("approval", "list", "--all", "--json").json[0]["state"] == "approved"
    assert first["request"] in capsys.readouterr().out
