"""Whatever a caller sends as token, credential or arguments: an answer of the fixed set, never a reason."""

from __future__ import annotations

import json
import shutil
import string
from functools import partial
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ledger.canonical import CanonicalError, canonical, parse_strict
from ledger.ids import base32
from policies.codes import CODES
from policies.tokens import parse_token
from tests.rooms.stage import Room, Stage, served
from tests.rooms.wire import Wire, wired

CHANGE = "shop__change_item"
ALL_CHECKS: list[HealthCheck] = [*HealthCheck]  # pyright: ignore[reportAssignmentType] - a metaclass of its own
FEW = settings(max_examples=60, deadline=None, suppress_health_check=ALL_CHECKS)

NUMBERS = st.one_of(
    st.integers(), st.floats(), st.sampled_from([2**53, 2**53 + 1, 1e308, -0.0, float("nan"), float("inf")])
)
TEXTS = st.text(st.characters(exclude_categories=()), max_size=40) | st.sampled_from(
    ["\ud800", "\u202e", "\x00", "e\u0301", "i\u0430", "{item_id}", "${DATA}", "apr_" + "0" * 26, "'; --"]
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)
NAMES = st.sampled_from(["item_id", "price", "note", "label", "details", "approval_token", "run_id"]) | TEXTS
ARGUMENTS = st.dictionaries(NAMES, VALUES, max_size=6)


def _joined(*parts: str) -> str:
    return "".join(parts)


def _cut(value: dict[str, Any], length: int, junk: bytes) -> bytes:
    return json.dumps(value).encode()[:length] + junk


NEARLY = st.builds(
    _joined,
    st.sampled_from(["apr_", "APR_", "bwk_", "stp_", "", "apr", " apr_"]),
    st.integers(0, 2**130 - 1).map(base32) | TEXTS,
    st.sampled_from(["", " ", "\n", "=", "\x00", "0"]),
)
BYTES = st.binary(max_size=200) | st.builds(
    _cut,
    ARGUMENTS,
    st.integers(0, 200),
    st.sampled_from([b"", b"\xff", b"}", b'{"a":1', b"//", b"\x00", b'"\\u', b"[" * 500]),
)


@given(BYTES)
@example(b'{"a":1,"a":1}')
@example(b'"\xed\xa0\x80"')
def test_bytes_are_read_strictly_or_refused_in_a_sentence(raw: bytes) -> None:
    try:
        value = parse_strict(raw, max_bytes=65_536)
    except CanonicalError as error:
        value, refused = None, str(error)
    else:
        refused = None
    if refused is not None:
        assert refused
        assert "Traceback" not in refused
        return
    try:
        written = canonical(value)
    except CanonicalError:
        return
    assert canonical(parse_strict(written, max_bytes=len(written))) == written


@given(NEARLY)
def test_a_token_has_one_spelling_or_is_none(text: str) -> None:
    body = text.removeprefix("apr_")
    alphabet = set(string.digits + string.ascii_lowercase) - set("ilou")
    shaped = text.startswith("apr_") and len(body) == 26 and set(body) <= alphabet
    assert parse_token(text) in ((text, None) if shaped else (None,))


class Served:
    """A server on a thread of its own, and raw wires to it for an agent's run."""

    def __init__(self, portal: BlockingPortal, stage: Stage) -> None:
        self._portal = portal
        self.stage = stage
        self._room = portal.wrap_async_context_manager(served(stage))
        self.room: Room = self._room.__enter__()
        _, self.key = portal.call(self.room.agent)
        self.run, self.token = portal.call(self._approved)

    def close(self) -> None:
        self._room.__exit__(None, None, None)

    async def _approved(self) -> tuple[str, str]:
        async with self.room.peer(self.key) as peer:
            run = await peer.open("change")
            asked = await self.room.approved(peer, run, item_id="i-1", price=5)
            return run, asked.token

    def send(self, arguments: bytes, meta: dict[str, Any] | None = None, credential: str = "") -> Any:
        """A call of the write whose arguments are these bytes."""
        return self._portal.call(partial(self._send, arguments, meta, credential))

    async def _send(self, arguments: bytes, meta: dict[str, Any] | None, credential: str) -> Any:
        async with wired(f"{self.room.url}/change/act", self.key, "auto") as wire:
            if credential:
                wire.http.headers["authorization"] = f"Bearer {credential}"
            return await self._answer(wire, arguments, meta)

    async def _answer(self, wire: Wire, arguments: bytes, meta: dict[str, Any] | None) -> Any:
        return await wire.call(CHANGE, arguments, meta=meta)


@pytest.fixture(scope="module")
def at(founded: Stage, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A server that the fuzzed requests share."""
    root = tmp_path_factory.mktemp("fuzzed") / "data"
    shutil.copytree(founded.folder.root, root)
    with start_blocking_portal() as portal:
        server = Served(portal, founded.moved(root))
        yield server
        server.close()


def is_from_the_fixed_set(answer: Any) -> str:
    """The code of an answer, once it is certain that nothing else is told."""
    assert answer.status_code in (200, 400, 401), answer.text[:300]
    assert "Traceback" not in answer.text
    body = answer.json()
    if "result" not in body:
        return str(body["error"])
    told = body["result"]["structuredContent"]
    code = str(told["code"])
    assert code in CODES
    # The message is the code's own; beside it stand only the fields that each refusal may have.
    assert told["message"] == CODES[code].message
    assert told.keys() <= {"code", "message", "why", "approval", "execution", "status"}
    return code


@FEW
@given(arguments=ARGUMENTS, token=st.none() | NEARLY)
def test_any_arguments_get_an_answer_of_the_fixed_set_and_no_effect(
    at: Served, arguments: dict[str, Any], token: str | None
) -> None:
    given_token = {} if token is None else {"approval_token": token}
    raw = json.dumps({**arguments, "run_id": at.run, **given_token}).encode()
    code = is_from_the_fixed_set(at.send(raw))
    assert code in ("invalid_arguments", "approval_required", "rate_limited", "unknown_tool")
    assert at.stage.frames() == 0


@FEW
@given(raw=BYTES)
def test_any_bytes_as_arguments_get_an_answer_of_the_fixed_set_and_no_effect(at: Served, raw: bytes) -> None:
    is_from_the_fixed_set(at.send(raw))
    assert at.stage.frames() == 0


@FEW
@given(value=VALUES | NEARLY)
def test_whatever_comes_as_approval_in_meta_is_a_token_or_as_if_absent(at: Served, value: Any) -> None:
    raw = json.dumps({"run_id": at.run, "item_id": "i-2", "price": 1}).encode()
    answer = at.send(raw, {"dev.bailiwick/approval": value})
    assert is_from_the_fixed_set(answer) in ("approval_required", "invalid_arguments", "rate_limited")
    assert at.stage.frames() == 0


def _fits_a_header(text: str) -> bool:
    return text.isascii() and text.isprintable() and text.strip() == text != ""


CREDENTIALS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=80)


@FEW
@given(credential=CREDENTIALS | NEARLY.filter(_fits_a_header))
def test_whatever_comes_as_credential_is_answered_401(at: Served, credential: str) -> None:
    answer = at.send(b"{}", None, credential)
    assert answer.status_code == 401
    assert answer.json()["error"] == "invalid_token"


def test_after_all_of_it_the_approved_call_is_still_made_once(at: Served) -> None:
    raw = json.dumps({"run_id": at.run, "item_id": "i-1", "price": 5, "approval_token": at.token}).encode()
    assert at.send(raw).json()["result"]["structuredContent"]["code"] == "done"
    assert at.stage.frames() == 1
