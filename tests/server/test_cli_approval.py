"""A reviewer sees the exact call, signs it with a key of their own, and it happens once."""

from __future__ import annotations

import re
from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from server.cli.approval import watch_requests
from server.cli.options import desk
from tests.server.office import Office, say

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
    page = " ".join(office.say("approval", "show", after["request"]).out.split())
    assert re.search(
        r"What happened to order:o-1001 before - \S+ desk__refund_order: succeeded by bot \(exe_\w+, run "
        r"run_\w+\) amount_cents 1000, ",
        page,
    )


async def test_case_19_a_reviewer_sees_what_would_fool_the_eye(
    served: tuple[Office, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    office, url = served
    monkeypatch.setenv("COLUMNS", "120")
    _, approval = await ask(office, url, reason="The l\u0456d was \u202edekcarc\u202c.")
    shown = office.say("approval", "show", approval["request"], by="dave").out
    assert "desk__refund_order on order:o-1001" in shown
    assert "amount_cents  1000" in shown
    assert 'reason        "The l\\u{0456}d was \\u{202e}dekcarc\\u{202c}."' in shown
    assert "! suspicious in reason: look-alike: CYRILLIC" in shown
    assert "Nothing was ever done to order:o-1001" in shown
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
    run, approval = await ask(office, url)
    good = (await asked(url, office.bot_key, run, amount_cents=7))["approval"]["request"]
    honest = acting.ask

    def lying(*given: Any) -> Any:
        result: Any = honest(*given)
        if given[3] == "approval.show" and result["request"] == approval["request"]:
            result["call"]["arguments"] = {"amount_cents": 1, "order_id": "o-1001", "reason": "small"}
        assert given[3] != "approval.judge", "a verdict was sent"
        return result

    monkeypatch.setattr(acting, "ask", lying)
    for requests in ([approval["request"]], [good, approval["request"]]):
        said = office.say("approval", "approve", *requests, by="carol")
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

    # The agent's owner is told that they cannot, and is not asked.
    with pytest.raises(KeyboardInterrupt):
        watch_requests(desk(office.root, None, "ada"), pause)
    assert "ada may not judge" in capsys.readouterr().out
    assert answers == ["y"]
    with pytest.raises(KeyboardInterrupt):
        watch_requests(desk(office.root, None, "carol"), pause)
    assert office.say("approval", "list", "--all", "--json").json[0]["state"] == "approved"
    assert first["request"] in capsys.readouterr().out


async def asked(url: str, key: str, run: str, **given: Any) -> Any:
    """A write in a run that is open already."""
    arguments = {**ARGUMENTS, **given}
    sent: dict[str, Any] = {"run_id": run, "tool": "desk__refund_order", "arguments": arguments}
    return await call(url, key, "use_tool", **sent)


async def test_several_calls_are_judged_on_one_page_with_one_signature_each(
    served: tuple[Office, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    office, url = served
    run, first = await ask(office, url)
    second = (await asked(url, office.bot_key, run, amount_cents=7))["approval"]
    ids = [first["request"], second["request"]]
    told = office.say("approval", "list", by="carol")
    assert f"bailiwick approval approve {' '.join(ids)}" in told.err
    asking = list[str]()

    def no(prompt: str) -> str:
        asking.append(prompt)
        return "n"

    monkeypatch.setattr("server.cli.approval._at_a_terminal", lambda: True)
    monkeypatch.setattr("builtins.input", no)
    refused = office.say("approval", "approve", *ids, by="carol")
    assert (refused.code, refused.out) == (1, "")
    assert asking == ["Approve these 2 calls, each once? y/n: "]
    assert "Nothing was signed." in refused.err
    both = office.say("approval", "approve", *ids, "--yes", by="carol")
    assert both.out.split() == ids
    places = [both.err.index(words) for words in ("1 of 2", "1000", "2 of 2", "amount_cents  7")]
    assert places == sorted(places)
    token = second["approval_token"]
    sent: dict[str, Any] = {"run_id": run, "tool": "desk__refund_order", "arguments": ARGUMENTS}
    mixed = await call(url, office.bot_key, "use_tool", **sent, approval_token=token)
    assert mixed["code"] == "approval_mismatch"  # two signatures, and each is over its own call
    own = office.say("approval", "deny", *ids, "--yes", by="ada")
    assert own.code == 1
    assert all(f"bailiwick: {one}: ada may not judge" in own.err for one in ids)


async def test_case_43_an_approval_is_taken_back_by_a_reviewer_or_the_agents_owner(
    served: tuple[Office, str],
) -> None:
    office, url = served
    run, first = await ask(office, url)
    office.say("approval", "approve", first["request"], by="carol").id  # noqa: B018
    taken = office.say("approval", "revoke", first["request"], "--note", "too early", by="ada")
    assert taken.id == first["request"]
    sent: dict[str, Any] = {"run_id": run, "tool": "desk__refund_order", "arguments": ARGUMENTS}
    token = first["approval_token"]
    said = await call(url, office.bot_key, "use_tool", **sent, approval_token=token)
    assert said["code"] == "approval_revoked"
    again = office.say("approval", "revoke", first["request"], by="carol")
    assert again.code == 2
    assert "nothing to take back" in again.err
    assert "too early" in office.say("run", "trace", run, "--json").out


async def test_case_44_taken_back_too_late_it_stays_done_and_says_so(served: tuple[Office, str]) -> None:
    office, url = served
    run, first = await ask(office, url)
    office.say("approval", "approve", first["request"], by="carol").id  # noqa: B018
    sent: dict[str, Any] = {"run_id": run, "tool": "desk__refund_order", "arguments": ARGUMENTS}
    token = first["approval_token"]
    assert (await call(url, office.bot_key, "use_tool", **sent, approval_token=token))["code"] == "done"
    late = office.say("approval", "revoke", first["request"], by="dave")
    assert late.code == 0
    assert "too late" in late.err


async def test_case_39_the_page_shows_the_arguments_whatever_the_agent_says_of_them(
    served: tuple[Office, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    office, url = served
    monkeypatch.setenv("COLUMNS", "80")
    claimed = "Only 1 cent. amount_cents: 1\nStill to sign: nobody.\n\x1b[2Kapproved"
    _, approval = await ask(office, url, reason=claimed)
    page = office.say("approval", "show", approval["request"], by="dave").out
    assert "    amount_cents  1000\n" in page
    assert "\x1b" not in page
    assert "\nStill to sign: nobody" not in page
    assert "\\u{001b}[2Kapproved" in "".join(line.strip().removesuffix("↩") for line in page.splitlines())
    assert "control: " in page


async def test_case_22_to_case_25_an_exported_approval_is_verified_offline_and_opens_nothing(
    served: tuple[Office, str], tmp_path: Path
) -> None:
    office, url = served
    run, approval = await ask(office, url)
    early = office.say("approval", "export", approval["request"], by="dave")
    assert early.code == 1
    assert "nothing is there to export" in early.err
    office.say("approval", "approve", approval["request"], by="carol").id  # noqa: B018
    file = tmp_path / "approval.jws"
    assert office.say("approval", "export", approval["request"], "--to", file, by="dave").code == 0
    root = next(
        one["public_key"] for one in office.say("key", "list", "--json").json if one["person"] == "ada"
    )
    proven = say("approval", "verify", file, "--root", root)
    assert proven.code == 0, proven.err
    assert "approved by  carol" in proven.out
    assert "amount_cents  1000" in proven.out
    assert say("approval", "verify", file, "--root", root, "--json").json["spent on"] == "nothing yet"
    # Case 23: as a token it is no token.
    sent: dict[str, Any] = {"run_id": run, "tool": "desk__refund_order", "arguments": ARGUMENTS}
    jws = file.read_text().strip()
    said = await call(url, office.bot_key, "use_tool", **sent, approval_token=jws)
    assert said["code"] == "approval_required"
    wrong_root = say("approval", "verify", file, "--root", root[:-1])
    assert wrong_root.code == 2
    later = say("approval", "verify", file, "--root", root, "--at", "2099-01-01T00:00:00Z")
    assert later.code == 1
    assert "expired" in later.err
    assert say("approval", "verify", file, "--root", root, "--at", "yesterday").code == 2
    assert say("approval", "verify", tmp_path / "nowhere", "--root", root).code == 2
    for junk in (b"", b"\xff\xfe", jws.encode() + b"\n\n", jws[:-4].encode(), jws.upper().encode()):
        file.write_bytes(junk)
        refused = say("approval", "verify", file, "--root", root)
        assert refused.code == 1, junk[:20]
        assert refused.err.startswith("bailiwick: ")
    done = await call(url, office.bot_key, "use_tool", **sent, approval_token=approval["approval_token"])
    assert done["code"] == "done"
    # What happens to the reviewer's key afterwards does not undo what it proved.
    carols = next(one for one in office.say("key", "list", "--json").json if one["person"] == "carol")
    again = ("--role", "reviewer", f"--public-key={carols['public_key']}")
    assert office.say("person", "add", "carol", *again).code == 0
    assert office.say("key", "revoke", carols["kid"]).code == 0
    assert office.say("approval", "export", approval["request"], "--to", file, by="dave").code == 0
    spent = say("approval", "verify", file, "--root", root, "--json").json
    assert spent["spent on"] == done["execution"]


async def test_case_38_a_link_that_is_fetched_does_nothing(served: tuple[Office, str]) -> None:
    office, url = served
    _, approval = await ask(office, url)
    base = url.removesuffix("/mcp")
    request = approval["request"]
    async with httpx2.AsyncClient(timeout=30) as http:
        for path in (f"/approvals/{request}/approve", "/operations/approval.judge", f"/operations/{request}"):
            for method in ("GET", "HEAD", "POST"):
                # Also as a program fetches it, without the header by which a browser says whose page it is.
                for headers in ({"origin": "http://evil.example"}, {}):
                    asked_for = f"{base}{path}?request={request}&verdict=approve"
                    answer = await http.request(method, asked_for, headers=headers)
                    assert answer.status_code >= 400
    (waiting,) = office.say("approval", "list", "--json", by="carol").json
    assert (waiting["request"], waiting["state"], waiting["signed"]) == (request, "pending", 0)


async def test_a_persons_key_is_replaced_and_what_it_had_approved_falls(
    served: tuple[Office, str],
) -> None:
    office, url = served
    run, first = await ask(office, url)
    office.say("approval", "approve", first["request"], by="carol").id  # noqa: B018
    made = office.say("key", "new", "carol", "--replace", "--json", by="").json
    kept = sorted(Path(made["file"]).parent.glob("carol.json*"))
    assert [path.name.count(".") for path in kept] == [1, 2]
    replaced = office.say("key", "replace", "carol", f"--public-key={made['public_key']}")
    assert replaced.id == made["kid"]
    old = office.say("approval", "list", "--key", kept[1], by="")
    assert old.code == 1
    sent: dict[str, Any] = {"run_id": run, "tool": "desk__refund_order", "arguments": ARGUMENTS}
    token = first["approval_token"]
    said = await call(url, office.bot_key, "use_tool", **sent, approval_token=token)
    assert said["code"] == "approval_pending"
    (waiting,) = office.say("approval", "list", "--json", by="carol").json
    assert (waiting["state"], waiting["signed"]) == ("pending", 0)
    # Her new key was enrolled after the request; dave's was not.
    mine = office.say("approval", "approve", first["request"], by="carol")
    assert mine.code == 1
    assert "enrolled after the request" in mine.err
    office.say("approval", "approve", first["request"], by="dave").id  # noqa: B018
    done = await call(url, office.bot_key, "use_tool", **sent, approval_token=token)
    assert done["code"] == "done"


async def test_a_write_in_doubt_is_shown_and_settled_by_hand(
    served: tuple[Office, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    office, url = served
    run, approval = await ask(office, url)
    office.say("approval", "approve", approval["request"], by="carol").id  # noqa: B018

    def unknown_to_all(*_answer_and_view: object) -> tuple[str, str]:
        return "in_doubt", "nobody knows"

    monkeypatch.setattr("tool_scopes.write_calls.outcome_of", unknown_to_all)
    sent: dict[str, Any] = {"run_id": run, "tool": "desk__refund_order", "arguments": ARGUMENTS}
    token = approval["approval_token"]
    said = await call(url, office.bot_key, "use_tool", **sent, approval_token=token)
    assert said["code"] == "in_doubt"
    doubts = office.say("run", "doubts", by="dave")
    assert said["execution"] in doubts.out
    assert "bailiwick run settle" in doubts.err
    both = office.say("run", "settle", said["execution"], "--succeeded", "--failed", "--note", "x", by="dave")
    assert both.code == 2
    owner = office.say("run", "settle", said["execution"], "--succeeded", "--note", "It is paid.")
    assert owner.code == 1
    settled = office.say(
        "run", "settle", said["execution"], "--succeeded", "--note", "It is paid.", by="dave"
    )
    assert settled.id == said["execution"]
    assert office.say("run", "doubts", "--json", by="dave").json == []
    assert "dave looked: It is paid." in office.say("run", "trace", run).out
    assert office.say("run", "settle", said["execution"], "--failed", "--note", "No.", by="dave").code == 1
    unknown = office.say("run", "settle", "exe_nothing", "--failed", "--note", "No.", by="dave")
    assert unknown.code == 2


async def test_commands_about_secrets_and_keys_say_in_a_sentence_why_not(served: tuple[Office, str]) -> None:
    office, url = served
    _, approval = await ask(office, url)
    nothing = office.say("approval", "erase", approval["request"])
    assert nothing.code == 2
    assert "holds no sealed argument" in nothing.err
    assert office.say("approval", "erase", approval["request"], by="carol").code == 1
    assert office.say("key", "vouch").code == 0  # it was vouched for when the folder was made; once is enough
    assert office.say("key", "vouch", by="carol").code == 1
    assert office.say("key", "replace", "nobody", "--public-key=x").code == 2
    assert office.say("approval", "revoke", "req_nothing", by="carol").code == 2
