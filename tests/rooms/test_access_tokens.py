"""Access tokens: a good one of a linked identity is its agent; whatever is wrong with one is 401 or 403."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Any

import httpx2
import pytest
from joserfc.jwk import ECKey

from policies.agent_links import AgentLink, link_agent, unlink_agent
from policies.agents import revoke_agent
from policies.gate_state import set_frozen
from server import issuer_keys
from tests.rooms.issuer import ISSUER, RESOURCE, Issuer, foreign_rsa, issuing, signed_with_the_public_key
from tests.rooms.stage import Room, Stage, served
from tests.rooms.wire import code_of, wired

BASE = RESOURCE.removesuffix("/mcp")
METADATA = "/.well-known/oauth-protected-resource"
Make = Callable[[Issuer], str]


@pytest.fixture(scope="module")
def known() -> Iterator[Issuer]:
    """The issuer of the server that the tests of this module share; its key stays the same."""
    with issuing() as known:
        yield known


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with issuing() as issuer:
        yield issuer


@pytest.fixture(scope="module")
async def desk(
    founded: Stage, known: Issuer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Room]:
    """A server that takes the issuer's tokens; robot's are those of an agent."""
    root = tmp_path_factory.mktemp("desk") / "data"
    shutil.copytree(founded.folder.root, root)
    told = {"public_url": BASE, "oauth_issuer": ISSUER, "oauth_keys": known.url}
    async with served(founded.moved(root), **told) as room:
        await room.agent(name="robot-bot")
        await link(room, "robot")
        yield room


async def link(room: Room, subject: str, agent: str = "robot-bot", **claims: str) -> None:
    identity = AgentLink(ISSUER, subject, "robot", agent, claims)
    await room.work(lambda tx: link_agent(tx, identity, by="ada"))


async def asked(room: Room, token: str, path: str = "") -> httpx2.Response:
    """What a token gets for opening a run at the desk, or for the step's question at a step's URL."""
    async with wired(room.url, token, "auto") as wire:
        wire.url = room.url + path
        given = '{"workflow": "change", "input": {"item_id": "i-1", "request": "r"}}'
        return await wire.call("current_step", "{}") if path else await wire.call("open_run", given)


NOW = int(time.time())
OTHER = ECKey.generate_key("P-256")
UNACCEPTABLE: dict[str, tuple[int, Make]] = {
    "no signature": (401, lambda i: i.token(header={"alg": "none"})),
    "case_22-HMAC with the public key": (
        401,
        signed_with_the_public_key,
    ),
    "a key that is not the issuer's": (401, lambda i: i.token(key=OTHER)),
    "an algorithm that the key is not for": (
        401,
        lambda i: i.token(header={"alg": "RS256"}, key=foreign_rsa()),
    ),
    "an algorithm that is not pinned": (
        401,
        lambda i: i.token(header={"alg": "ES384"}, key=ECKey.generate_key("P-384")),
    ),
    "case_23-another type": (401, lambda i: i.token(header={"typ": "id+jwt"})),
    "no type": (401, lambda i: i.token(header={"typ": None})),
    "case_23-an unknown key": (401, lambda i: i.token(header={"kid": "other"})),
    "no key id": (401, lambda i: i.token(header={"kid": None})),
    "case_23-an extension": (401, lambda i: i.token(header={"crit": ["b64"], "b64": True})),
    "a key of its own in the header": (
        401,
        lambda i: i.token(header={"jwk": OTHER.as_dict(private=False)}, key=OTHER),
    ),
    "another issuer": (401, lambda i: i.token({"iss": "https://other.example"})),
    "no issuer": (401, lambda i: i.token({"iss": None})),
    "case_7-another audience": (401, lambda i: i.token({"aud": "https://other.example/mcp"})),
    "a longer audience": (401, lambda i: i.token({"aud": RESOURCE + "/"})),
    "no audience": (401, lambda i: i.token({"aud": None})),
    "an audience that is an object": (401, lambda i: i.token({"aud": {"a": RESOURCE}})),
    "case_25-expired by more than the skew": (401, lambda i: i.token({"exp": NOW - 31})),
    "no expiry": (401, lambda i: i.token({"exp": None})),
    "an expiry that is a text": (401, lambda i: i.token({"exp": str(NOW + 300)})),
    "an expiry that is true": (401, lambda i: i.token({"exp": True})),
    "case_25-not valid yet": (401, lambda i: i.token({"nbf": int(time.time()) + 60})),
    "case_26-made by a clock ahead of ours": (401, lambda i: i.token({"iat": int(time.time()) + 60})),
    "a start that is a text": (401, lambda i: i.token({"nbf": "0"})),
    "nobody": (401, lambda i: i.token({"sub": None})),
    "no client": (401, lambda i: i.token({"client_id": None})),
    "two clients": (401, lambda i: i.token({"azp": "other"})),
    "an identity that nobody linked": (401, lambda i: i.token({"sub": "someone"})),
    "a linked subject by another client": (401, lambda i: i.token({"client_id": "other"})),
    "claims that are no object": (401, lambda i: i.token(raw=b"[]")),
    "claims that are no JSON": (401, lambda i: i.token(raw=b"\xff")),
    "a token of 20,000 bytes": (401, lambda i: i.token({"more": "x" * 20_000})),
    "no scope": (403, lambda i: i.token({"scope": None})),
    "another scope": (403, lambda i: i.token({"scope": "bailiwick:read bailiwicks"})),
}


@pytest.mark.parametrize("name", UNACCEPTABLE)
async def test_a_token_with_one_thing_wrong_opens_nothing(desk: Room, known: Issuer, name: str) -> None:
    status, make = UNACCEPTABLE[name]
    before = len(desk.entries("run.opened"))
    answer = await asked(desk, make(known))
    assert answer.status_code == status
    challenge = answer.headers["www-authenticate"]
    assert f'resource_metadata="{BASE}{METADATA}/mcp"' in challenge
    assert 'scope="bailiwick"' in challenge
    assert f'error="{"insufficient_scope" if status == 403 else "invalid_token"}"' in challenge
    assert len(desk.entries("run.opened")) == before
    assert code_of(await asked(desk, known.token())) == "done"


def _twice(i: Issuer) -> str:
    claims = f'{{"iss":"{ISSUER}","aud":"{RESOURCE}","sub":"robot","sub":"robot","client_id":"robot",'
    return i.token(raw=(claims + f'"scope":"bailiwick","exp":{NOW + 900}}}').encode())


async def test_case_15_a_claim_that_stands_twice_is_refused(desk: Room, known: Issuer) -> None:
    assert (await asked(desk, _twice(known))).status_code == 401


ACCEPTABLE: dict[str, Make] = {
    "as it should be": lambda i: i.token(),
    "the type as a media type": lambda i: i.token(header={"typ": "application/AT+JWT"}),
    "several audiences": lambda i: i.token({"aud": ["https://other.example", RESOURCE]}),
    "a clock behind ours within the skew": lambda i: i.token({"exp": int(time.time()) - 20}),
    "a clock ahead of ours within the skew": lambda i: i.token({"nbf": int(time.time()) + 20}),
    "azp instead of client_id": lambda i: i.token({"client_id": None, "azp": "robot"}),
    "scopes as a list": lambda i: i.token({"scope": None, "scp": ["other", "bailiwick"]}),
}


@pytest.mark.parametrize("make", ACCEPTABLE.values(), ids=ACCEPTABLE)
async def test_a_good_token_is_the_linked_agent(desk: Room, known: Issuer, make: Make) -> None:
    assert code_of(await asked(desk, make(known))) == "done"
    opened = desk.entries("run.opened")[-1]
    assert (opened.principal, opened.tenant) == ("robot-bot", "acme")


async def test_a_token_walks_to_a_write_as_its_agents_key_would(desk: Room, known: Issuer, era: str) -> None:
    async with desk.peer(known.token(), era) as peer:
        run = await peer.open("change")
        said = await desk.approved(peer, run, item_id="i-1", price=5)
        done = await peer.use(run, "shop__change_item", said.token, item_id="i-1", price=5)
    assert done.code == "done"


async def test_a_token_for_a_steps_url_opens_that_step_alone(desk: Room, known: Issuer) -> None:
    token = known.token({"aud": f"{RESOURCE}/change/act"})
    assert (await asked(desk, token, "/change/act")).status_code == 200
    for path in ("", "/change/again"):
        assert (await asked(desk, token, path)).status_code == 401
    assert (await asked(desk, known.token(), "/change/act")).status_code == 200


async def test_a_revoked_agent_an_ended_link_and_a_freeze_hold_for_tokens(desk: Room, known: Issuer) -> None:
    name, _ = await desk.agent()
    await link(desk, "brief", name)
    token = known.token({"sub": "brief"})
    await desk.work(lambda tx: set_frozen(tx, frozen=True, by="ada", reason="", what=f"agent:{name}"))
    assert code_of(await asked(desk, token)) == "frozen"
    await desk.work(lambda tx: unlink_agent(tx, AgentLink(ISSUER, "brief", "robot", name, {}), by="ada"))
    assert (await asked(desk, token)).status_code == 401
    await link(desk, "brief", name)
    assert (await asked(desk, token)).status_code == 200
    await desk.work(lambda tx: revoke_agent(tx, name, by="olga"))
    assert (await asked(desk, token)).status_code == 401


async def test_a_link_can_ask_for_more_claims(desk: Room, known: Issuer) -> None:
    await link(desk, "picky", team="refunds")
    for team, status in (("refunds", 200), ("sales", 401), (None, 401), (["refunds"], 401)):
        token = known.token({"sub": "picky", "team": team})
        assert (await asked(desk, token)).status_code == status


async def test_case_92_a_reviewers_token_is_an_agent_and_no_approver(desk: Room, known: Issuer) -> None:
    # rita's own identity at the issuer is nobody here until an admin says which agent it is.
    token = known.token({"sub": "rita"})
    assert (await asked(desk, token)).status_code == 401
    await link(desk, "rita")
    async with desk.peer(token) as peer:
        run = await peer.open("change")
        refused = await peer.use(run, "shop__change_item", item_id="i-1", price=5)
        assert refused.code == "approval_required"
        again = await peer.use(run, "shop__change_item", refused.token, item_id="i-1", price=5)
        assert again.code == "approval_pending"
    (request,) = desk.entries("approval.requested", run=run)
    assert request.principal == "robot-bot"


async def test_a_token_is_no_signature_of_a_person(desk: Room, known: Issuer) -> None:
    told: dict[str, Any] = {"args": {}, "signed": {}}
    headers = {"authorization": f"Bearer {known.token()}"}
    async with httpx2.AsyncClient(trust_env=False) as http:
        url = f"{desk.url.removesuffix('/mcp')}/operations/approval.list"
        assert (await http.post(url, json=told, headers=headers)).status_code == 400


async def test_the_metadata_names_the_resource_and_the_issuer(desk: Room) -> None:
    server = desk.url.removesuffix("/mcp")
    async with httpx2.AsyncClient(trust_env=False) as http:
        for path, resource in (
            ("", RESOURCE),
            ("/mcp", RESOURCE),
            ("/mcp/change/act", f"{RESOURCE}/change/act"),
            ("/mcp/no/thing", f"{RESOURCE}/no/thing"),
        ):
            told = (await http.get(f"{server}{METADATA}{path}")).json()
            assert told["resource"] == resource
            assert told["authorization_servers"] == [ISSUER]
            assert told["scopes_supported"] == ["bailiwick"]
        unasked = await http.post(desk.url, json={})
        assert unasked.status_code == 401
        assert "error=" not in unasked.headers["www-authenticate"]
        sly = await http.post(f'{desk.url}/a%22%0d%0ax-evil:1/"', json={})
        assert "x-evil" not in sly.headers
        assert '"/' not in sly.headers["www-authenticate"].split("resource_metadata=")[1].split(",")[0][1:]


async def test_without_an_issuer_a_token_is_nothing_and_there_is_no_metadata(
    room: Room, issuer: Issuer
) -> None:
    answer = await asked(room, issuer.token())
    assert answer.status_code == 401
    assert "resource_metadata" not in answer.headers["www-authenticate"]
    async with httpx2.AsyncClient(trust_env=False) as http:
        assert (await http.get(f"{room.url.removesuffix('/mcp')}{METADATA}")).status_code == 404


class _Seconds:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds() -> _Seconds:
    return _Seconds()


@pytest.fixture
def keys(issuer: Issuer, seconds: _Seconds) -> issuer_keys.IssuerKeys:
    return issuer_keys.IssuerKeys(issuer.url, ["ES256"], clock=seconds)


async def test_a_new_key_is_found_when_a_token_names_it_but_not_at_every_made_up_name(
    issuer: Issuer, keys: issuer_keys.IssuerKeys, seconds: _Seconds
) -> None:
    assert await keys.key("first") is not None
    issuer.rotate("second")
    for number in range(50):
        assert await keys.key(f"made-up-{number}") is None
    assert issuer.fetched == 1
    assert await keys.key("first") is not None
    seconds.now += issuer_keys.REFETCH_S
    assert await keys.key("second") is not None
    assert await keys.key("first") is None
    assert issuer.fetched == 2


async def test_a_withdrawn_key_ends_without_anybody_naming_another(
    issuer: Issuer, keys: issuer_keys.IssuerKeys, seconds: _Seconds
) -> None:
    assert await keys.key("first") is not None
    issuer.rotate("second")
    seconds.now += issuer_keys.FRESH_S
    assert await keys.key("first") is None


SILENT: dict[str, tuple[int, dict[str, str], bytes]] = {
    "an error": (500, {}, b""),
    "no JSON": (200, {}, b"<html>"),
    "no key set": (200, {}, b'{"keys": {}}'),
    "too much": (200, {}, b" " * 300_000),
}


@pytest.mark.parametrize("answer", SILENT.values(), ids=SILENT)
async def test_keys_go_on_for_an_hour_when_the_issuer_says_nothing_of_use(
    issuer: Issuer,
    keys: issuer_keys.IssuerKeys,
    seconds: _Seconds,
    answer: tuple[int, dict[str, str], bytes],
) -> None:
    assert await keys.key("first") is not None
    issuer.answer = answer
    seconds.now += issuer_keys.FRESH_S
    assert await keys.key("first") is not None
    seconds.now += issuer_keys.STALE_S
    with pytest.raises(issuer_keys.IssuerSilent):
        await keys.key("first")
    issuer.answer = None
    seconds.now += issuer_keys.REFETCH_S
    assert await keys.key("first") is not None


async def test_a_redirect_to_another_host_is_not_followed(stage: Stage, issuer: Issuer) -> None:
    with issuing() as other:
        issuer.answer = (302, {"location": other.url}, b"")
        told = {"public_url": BASE, "oauth_issuer": ISSUER, "oauth_keys": issuer.url}
        async with served(stage, **told) as room:
            answer = await asked(room, other.token())
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
        assert other.fetched == 0


async def test_weak_secret_and_foreign_keys_of_a_set_are_left_out(
    issuer: Issuer, keys: issuer_keys.IssuerKeys
) -> None:
    good = next(iter(issuer.keys.values())).as_dict(private=False)
    listed = [
        {**good, "kid": "encrypts", "use": "enc"},
        {**good, "kid": "other", "alg": "ES384"},
        {"kty": "oct", "kid": "secret", "k": "AAAA"},
        {"kty": "RSA", "kid": "weak", "n": "AQAB", "e": "AQAB"},
        {"kty": "EC", "kid": "broken", "crv": "P-256", "x": "AA", "y": "AA"},
        {"kty": "new", "kid": "new"},
        {**good, "kid": "good"},
        "no key",
    ]
    issuer.answer = (200, {}, json.dumps({"keys": listed}).encode())
    found = [
        kid
        for kid in ("encrypts", "other", "secret", "weak", "broken", "new", "good")
        if await keys.key(kid) is not None
    ]
    assert found == ["good"]


async def test_an_identity_is_one_agent_in_all_tenants(desk: Room) -> None:
    with pytest.raises(Exception, match="linked to an agent already"):
        await link(desk, "robot")
    linked: dict[str, Any] = {"agent": "robot-bot", "subject": "second", "client": "robot"}
    assert (await desk.ask("ada", "agent.link", **linked))["issuer"] == ISSUER
    listed: Any = (await desk.ask("ada", "agent.list"))["agents"]
    (robot,) = (one for one in listed if one["agent"] == "robot-bot")
    assert {"robot", "second"} <= {one["subject"] for one in robot["links"]}
    await desk.agent(tenant="other", name="their-bot")
    with pytest.raises(Exception, match="There is no agent their-bot"):
        await desk.ask("ada", "agent.link", agent="their-bot", subject="x", client="x")
