"""The approval page from outside of a browser: who gets in, and what is worth nothing there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from policies.signing import new_personal_key
from server.page.doors import HEADERS
from tests.page.site import CHANGE, Site, operation
from tests.rooms.peers import Said


@pytest.fixture(scope="module")
def agent(site: Site) -> str:
    return site.agent()


@pytest.fixture(scope="module")
def asked(site: Site, agent: str) -> Said:
    """A request that waits, and that nothing here may move."""
    return site.asked(agent, item_id="d-1", price=5)[0]


def test_nobody_sees_anything_of_a_request_before_signing_in(site: Site, asked: Said) -> None:
    absent = "req_" + "0" * 26
    with site.http() as client:
        real = client.get(f"/approvals/{asked.approval['request']}")
        none = client.get(f"/approvals/{absent}")
        assert real.status_code == none.status_code == 200
        assert real.text.replace(asked.approval["request"], absent) == none.text
        assert "d-1" not in real.text
        assert client.get("/approvals/elsewhere").status_code == 404
        assert client.get("/approvals/req_1").status_code == 404


@pytest.mark.parametrize(
    "place", ["/approvals", "/approvals/req_1", "/approvals/page.js", "/approvals/sign-in"]
)
def test_every_answer_forbids_frames_referrers_caches_and_what_is_inline(site: Site, place: str) -> None:
    with site.http() as client:
        for answer in (
            client.get(place),
            client.post(place, json={}),
            client.get(place, headers={"host": "evil"}),
        ):
            if answer.status_code != 405:
                assert HEADERS.items() <= dict(answer.headers).items(), (place, answer.status_code)
    policy = HEADERS["content-security-policy"]
    assert "unsafe" not in policy
    assert {"default-src 'none'", "frame-ancestors 'none'"} <= set(policy.split("; "))


def test_the_page_answers_to_names_of_this_machine_only(site: Site) -> None:
    port = site.base.rpartition(":")[2]
    with site.http() as client:
        for host in ("evil.example", f"evil.example:{port}", "127.0.0.1.evil.example", ""):
            assert client.get("/approvals", headers={"host": host}).status_code in (400, 421)


def test_an_agents_key_is_nobody_on_the_page_and_a_session_is_nobody_at_mcp(
    site: Site, agent: str, asked: Said
) -> None:
    with site.http(authorization=f"Bearer {agent}") as client:
        place = f"/approvals/{asked.approval['request']}"
        assert "Sign in to judge" in client.get(place).text
        answer = client.post("/approvals/verdicts", json=site.verdict_body("rita", asked))
        assert (answer.status_code, "not signed in" in answer.text) == (403, True)
        client.cookies.set("bailiwick-session", agent, path="/approvals")
        assert "Sign in to judge" in client.get(place).text
    with site.http() as client:
        site.signed_in(client, "rita")
        (session,) = [cookie.value for cookie in client.cookies.jar if cookie.name == "bailiwick-session"]
        body: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
        accept = {"accept": "application/json, text/event-stream"}
        for more in ({"authorization": f"Bearer {session}"}, {"cookie": f"bailiwick-session={session}"}):
            assert client.post("/mcp", json=body, headers={**accept, **more}).status_code == 401
        # At the loopback interface a session is nobody either: there each act is signed.
        assert client.post("/operations/approval.list", json={"args": {}}).status_code == 403


FORGED: dict[str, dict[str, str]] = {
    "from another origin": {"origin": "http://evil.example"},
    "from another port of this machine": {"origin": "http://127.0.0.1:1"},
    "from the same machine by another name": {"origin": "http://localhost:8765"},
    "from a sandboxed frame": {"origin": "null"},
    "said by the browser to be another site's": {"sec-fetch-site": "cross-site"},
    "as a form of another page sends it": {"content-type": "text/plain"},
    "without what only the page knows": {"x-bailiwick-csrf": ""},
    "with what another session's page knows": {"x-bailiwick-csrf": "0" * 64},
}


@pytest.mark.parametrize("headers", FORGED.values(), ids=FORGED)
def test_a_verdict_that_another_page_sends_along_a_session_has_no_effect(
    site: Site, asked: Said, headers: dict[str, str]
) -> None:
    with site.http() as client:
        csrf = site.signed_in(client, "rita")
        given = {"x-bailiwick-csrf": csrf, **headers}
        answer = client.post("/approvals/verdicts", json=site.verdict_body("rita", asked), headers=given)
    assert answer.status_code in (400, 403)
    assert site.state(asked) == "pending"


def test_a_request_without_an_origin_is_no_browsers_and_does_nothing(site: Site, asked: Said) -> None:
    with site.http() as client:
        csrf = site.signed_in(client, "rita")
        del client.headers["origin"]
        body = site.verdict_body("rita", asked)
        answer = client.post("/approvals/verdicts", json=body, headers={"x-bailiwick-csrf": csrf})
    assert answer.status_code == 403
    assert site.state(asked) == "pending"


def test_a_session_alone_signs_nothing_and_another_persons_verdict_is_refused(
    site: Site, asked: Said
) -> None:
    with site.http() as client:
        csrf = {"x-bailiwick-csrf": site.signed_in(client, "rita")}
        unsigned: Any = site.verdict_body("rita", asked)
        unsigned["signed"]["signature"] = "A" * 86
        others = site.verdict_body("remy", asked)
        moved: Any = operation(site.room.stage.keys["rita"], "approval.judge", {"request": "x"})
        moved["args"] = site.verdict_body("rita", asked)["args"]
        bodies: list[Any] = [unsigned, others, moved, {}, {"args": {}, "signed": {}}]
        for body in bodies:
            answer = client.post("/approvals/verdicts", json=body, headers=csrf)
            assert answer.status_code in (400, 403), answer.text
            assert answer.json()["error"].endswith(".")
        assert client.post("/approvals/verdicts", content=b"{", headers=csrf).status_code == 400
        assert client.post("/approvals/verdicts", content=b" " * 20_000, headers=csrf).status_code == 400
    assert site.state(asked) == "pending"


def _other_browser(site: Site, body: dict[str, Any]) -> int:
    with site.http() as other:
        return other.post("/approvals/sign-in", json=body).status_code


def test_a_sign_in_is_good_once_here_and_in_the_browser_that_was_asked(site: Site) -> None:
    key = site.room.stage.keys["rita"]
    with site.http() as client:
        page = client.get("/approvals").text
        assert client.get("/approvals").text == page  # two tabs share one challenge
        for change in (
            {"origin": "http://evil.example"},
            {"server": "bailiwick/other"},
            {"challenge": "0" * 64},
        ):
            body = site.sign_in_body(key, page, **change)
            assert client.post("/approvals/sign-in", json=body).status_code == 403
        stranger = site.sign_in_body(new_personal_key("rita"), page)
        assert client.post("/approvals/sign-in", json=stranger).status_code == 403
        good = site.sign_in_body(key, page)
        assert _other_browser(site, good) == 403
        (challenge,) = [cookie.value for cookie in client.cookies.jar if cookie.name == "bailiwick-challenge"]
        assert client.post("/approvals/sign-in", json=good).status_code == 200
        # The very same again, with the cookie put back: it was used.
        client.cookies.set("bailiwick-challenge", challenge or "", path="/approvals")
        again = client.post("/approvals/sign-in", json=good)
        assert (again.status_code, "was asked for before" in again.text) == (403, True)
    # No operation of the loopback interface opens a session.
    with site.http() as client:
        del client.headers["origin"]
        assert client.post("/operations/page.sign_in", json=good).status_code == 400


def _sign_out(site: Site, csrf: str, client: Any) -> None:
    assert client.post("/approvals/sign-out", json={}, headers={"x-bailiwick-csrf": csrf}).status_code == 200


def _revoke(site: Site, _csrf: str, _client: Any) -> None:
    kid = site.room.stage.keys["pia"].kid
    site.portal.call(lambda: site.room.ask("ada", "key.revoke", kid=kid))


@pytest.mark.parametrize("end", [_sign_out, _revoke], ids=["signing out", "the key is revoked"])
def test_a_session_ends_at_once(site: Site, end: Callable[[Site, str, Any], None]) -> None:
    site.portal.call(site.room.enrol, "pia")
    with site.http() as client:
        csrf = site.signed_in(client, "pia")
        (session,) = [cookie.value for cookie in client.cookies.jar if cookie.name == "bailiwick-session"]
        end(site, csrf, client)
        client.cookies.clear()
        client.cookies.set("bailiwick-session", session or "", path="/approvals")
        assert "Sign in to judge" in client.get("/approvals").text


def test_another_tenants_reviewer_finds_no_such_request(site: Site, asked: Said) -> None:
    with site.http() as client:
        site.signed_in(client, "orla")
        assert "d-1" not in client.get("/approvals").text
        answer = client.get(f"/approvals/{asked.approval['request']}")
        assert (answer.status_code, "There is no request" in answer.text) == (404, True)
        assert client.get(f"/approvals/req_{'0' * 26}").text.replace("0" * 26, "") == answer.text.replace(
            asked.approval["request"].removeprefix("req_"), ""
        )


def test_what_a_person_was_shown_and_judged_is_in_the_log_with_the_key(site: Site, agent: str) -> None:
    (mine,) = site.asked(agent, item_id="d-2", price=7)
    with site.http() as client:
        csrf = site.signed_in(client, "rita")
        client.get(f"/approvals/{mine.approval['request']}")
        body = site.verdict_body("rita", mine)
        done = client.post("/approvals/verdicts", json=body, headers={"x-bailiwick-csrf": csrf})
    assert done.json()["told"] == "approved: the agent can make this very call now, once"
    assert site.write(agent, mine, item_id="d-2", price=7).code == "done", CHANGE
    shown = site.room.entries("page.shown")[-1]
    kid = site.room.stage.keys["rita"].kid
    assert (shown.principal, shown.body) == ("rita", {"requests": [mine.approval["request"]], "kid": kid})
    signed = [entry.body["op"] for entry in site.room.entries("operation.accepted")][-2:]
    assert signed == ["page.sign_in", "approval.judge"]
    assert site.room.house.ledger.verify().whole


def test_over_tls_the_cookies_are_of_this_host_alone(site: Site) -> None:
    from starlette.responses import Response

    from server.page.doors import set_cookie

    given = {secure: Response() for secure in (True, False)}
    for secure, answer in given.items():
        set_cookie(answer, "session", "x", secure=secure, seconds=9)
    over_tls, plain = (given[secure].headers["set-cookie"].lower() for secure in (True, False))
    assert over_tls.startswith("__host-bailiwick-session=x;")
    assert {"secure", "httponly", "samesite=strict", "path=/"} <= set(over_tls.split("; "))
    assert {"httponly", "samesite=strict", "path=/approvals"} <= set(plain.split("; "))
