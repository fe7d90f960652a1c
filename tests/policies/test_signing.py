"""Signatures of people: one domain each, one spelling, and no key under which anything verifies."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from policies.errors import KeyFileRefused, PolicyError
from policies.key_files import read_key_file, write_key_file
from policies.operations import CLOCK_TOLERANCE_MS, sign_operation, verify_operation
from policies.signing import (
    ENROLMENT_DOMAIN,
    OPERATION_DOMAIN,
    VERDICT_DOMAIN,
    PersonalKey,
    b64url,
    from_b64url,
    new_personal_key,
    parse_public_key,
    sign,
    verify,
)

KEY = PersonalKey("rita", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
STATEMENT: dict[str, Any] = {"v": 1, "said": "yes"}
P = 2**255 - 19


def test_a_signature_is_pinned() -> None:
    """Ed25519 is deterministic: other bytes here would make the signatures of the past worthless."""
    assert KEY.kid == "56475aa75463474c"
    assert sign(KEY, VERDICT_DOMAIN, STATEMENT) == (
        "_q3XPzFC2prniVYKQEtAVRdag11fGGXouUl37wKOYV3Pg3mfx83NOjByx0QCByLys2NTO1rT6Vq3EdRvGsKpBQ"
    )


def test_a_signature_holds_for_its_key_domain_and_statement_alone() -> None:
    signature = sign(KEY, VERDICT_DOMAIN, STATEMENT)
    assert verify(KEY.public_key, VERDICT_DOMAIN, STATEMENT, signature)
    assert not verify(KEY.public_key, ENROLMENT_DOMAIN, STATEMENT, signature)
    assert not verify(KEY.public_key, OPERATION_DOMAIN, STATEMENT, signature)
    assert not verify(KEY.public_key, VERDICT_DOMAIN, STATEMENT | {"said": "no"}, signature)
    assert not verify(new_personal_key("rita").public_key, VERDICT_DOMAIN, STATEMENT, signature)


def test_case_24_a_signature_has_one_spelling() -> None:
    good = sign(KEY, VERDICT_DOMAIN, STATEMENT)
    for other in (good + "=", good[:-1], "", good[:-1] + "\u00e9", good + "\n", " " + good):
        assert not verify(KEY.public_key, VERDICT_DOMAIN, STATEMENT, other)


def test_case_24_unused_bits_must_be_zero() -> None:
    assert from_b64url("AA", 1) == b"\0"
    assert from_b64url("AB", 1) is None
    assert from_b64url("+A", 1) is None


def order_eight_points() -> set[int]:
    """The y coordinates of the points of small order, computed from the curve (RFC 8032, section 5.1)."""
    d = -121665 * pow(121666, -1, P) % P

    def add(one: tuple[int, int], two: tuple[int, int]) -> tuple[int, int]:
        (x1, y1), (x2, y2) = one, two
        k = d * x1 * x2 * y1 * y2
        x = (x1 * y2 + x2 * y1) * pow(1 + k, -1, P) % P
        return x, (y1 * y2 + x1 * x2) * pow(1 - k, -1, P) % P

    def x_of(y: int) -> int | None:
        square = (y * y - 1) * pow(d * y * y + 1, -1, P) % P
        root = pow(square, (P + 3) // 8, P)
        if (root * root - square) % P:
            root = root * pow(2, (P - 1) // 4, P) % P
        return root if (root * root - square) % P == 0 else None

    found: set[int] = set()
    for y in range(2, 40):
        x = x_of(y)
        if x is None:
            continue
        point, multiple = (x, y), (0, 1)
        order = 2**252 + 27742317777372353535851937790883648493
        while order:
            multiple = add(multiple, point) if order & 1 else multiple
            point, order = add(point, point), order >> 1
        step = (0, 1)
        for _ in range(8):
            found.add(step[1])
            step = add(step, multiple)
    return found


def test_no_degenerate_key_is_accepted() -> None:
    ys = order_eight_points()
    assert len(ys) == 5
    for y in ys | {P, P + 1}:
        for sign_bit in (0, 1 << 255):
            with pytest.raises(PolicyError, match="degenerate"):
                parse_public_key(b64url((y | sign_bit).to_bytes(32, "little")))


@pytest.mark.parametrize("text", ["", "x", "A" * 42, "A" * 44, "é" * 43])
def test_what_is_no_public_key_is_refused(text: str) -> None:
    with pytest.raises(PolicyError, match="no public key"):
        parse_public_key(text)


def test_a_private_key_is_in_no_repr() -> None:
    secret = KEY.private.private_bytes_raw()
    assert secret.hex() not in repr(KEY)
    assert b64url(secret) not in repr(KEY)


NOW = 1_790_000_000_000
ARGS: dict[str, Any] = {"request": "req_1"}
SIGNED = sign_operation(KEY, "approval.revoke", ARGS, at=NOW, nonce="n" * 16)


def test_an_operation_is_good_for_its_name_arguments_and_time() -> None:
    assert verify_operation(SIGNED, KEY.public_key, "approval.revoke", ARGS, now_ms=NOW)
    assert verify_operation(SIGNED, KEY.public_key, "approval.revoke", ARGS, now_ms=NOW + CLOCK_TOLERANCE_MS)


BAD_OPERATIONS: dict[str, dict[str, Any]] = {
    "another operation": {"op": "freeze"},
    "other arguments": {"args": {"request": "req_2"}},
    "too old": {"now_ms": NOW + CLOCK_TOLERANCE_MS + 1},
    "from the future": {"now_ms": NOW - CLOCK_TOLERANCE_MS - 1},
    "another person": {"signed": replace(SIGNED, person="remy")},
    "another nonce": {"signed": replace(SIGNED, nonce="m" * 16)},
    "another key": {"public_key": new_personal_key("rita").public_key},
    "a short nonce": {"signed": sign_operation(KEY, "approval.revoke", ARGS, at=NOW, nonce="short")},
}


@pytest.mark.parametrize("sentence", BAD_OPERATIONS)
def test_an_operation_is_good_for_nothing_else(sentence: str) -> None:
    asked: dict[str, Any] = {
        "signed": SIGNED, "public_key": KEY.public_key, "op": "approval.revoke", "args": ARGS, "now_ms": NOW,
    } | BAD_OPERATIONS[sentence]  # fmt: skip
    assert not verify_operation(
        asked["signed"], asked["public_key"], asked["op"], asked["args"], now_ms=asked["now_ms"]
    )


def test_a_key_file_is_private_and_reads_back(tmp_path: Path) -> None:
    path, data = tmp_path / "own" / "rita.json", tmp_path / "data"
    write_key_file(path, KEY, data_folder=data)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = read_key_file(path, data_folder=data)
    assert (again.person, again.kid) == ("rita", KEY.kid)
    with pytest.raises(KeyFileRefused, match="never overwritten"):
        write_key_file(path, KEY, data_folder=data)


def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rita.json"
    write_key_file(path, KEY, data_folder=tmp_path / "data")
    for mode in (0o640, 0o604, 0o660):
        path.chmod(mode)
        with pytest.raises(KeyFileRefused, match="chmod 600"):
            read_key_file(path, data_folder=tmp_path / "data")


@pytest.mark.parametrize("inside", ["rita.json", "keys/rita.json", "../data/rita.json", "link/rita.json"])
def test_a_key_file_never_lies_in_the_data_folder(tmp_path: Path, inside: str) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "link").symlink_to(data)
    with pytest.raises(KeyFileRefused, match="inside the data folder"):
        write_key_file(data / inside, KEY, data_folder=data)
    with pytest.raises(KeyFileRefused, match="inside the data folder"):
        read_key_file(data / inside, data_folder=data)


def good_file() -> dict[str, Any]:
    seed = b64url(KEY.private.private_bytes_raw())
    return {"v": 1, "person": "rita", "public_key": KEY.public_key, "private_key": seed}


BAD_FILES: dict[str, bytes] = {
    "empty": b"",
    "not JSON": b"rita",
    "not UTF-8": b"\xff\xfe",
    "a list": b"[]",
    "deeply nested": b"[" * 4000,
    "too long": b" " * 5000,
    "no private key": json.dumps(good_file() | {"private_key": None}).encode(),
    "a short private key": json.dumps(good_file() | {"private_key": "AA"}).encode(),
    "another public key": json.dumps(good_file() | {"public_key": new_personal_key("x").public_key}).encode(),
    "no id": json.dumps(good_file() | {"person": "Rita!"}).encode(),
    "another version": json.dumps(good_file() | {"v": 2}).encode(),
}


@pytest.mark.parametrize("sentence", BAD_FILES)
def test_a_damaged_key_file_is_refused_and_quotes_nothing(tmp_path: Path, sentence: str) -> None:
    path = tmp_path / "rita.json"
    path.write_bytes(BAD_FILES[sentence])
    path.chmod(0o600)
    with pytest.raises(KeyFileRefused) as refused:
        read_key_file(path, data_folder=tmp_path / "data")
    assert good_file()["private_key"] not in str(refused.value)


def test_a_missing_key_file_is_one_clear_sentence(tmp_path: Path) -> None:
    with pytest.raises(KeyFileRefused, match="cannot be read"):
        read_key_file(tmp_path / "none.json", data_folder=tmp_path / "data")
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(KeyFileRefused, match=os.path.basename(blocked)):
        write_key_file(blocked / "rita.json", KEY, data_folder=tmp_path / "data")
