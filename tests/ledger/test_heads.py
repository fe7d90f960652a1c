"""Signed heads: the form of C2SP checkpoints, and every way in which one can be false."""

import base64
from collections.abc import Callable

import pytest

from ledger.heads import HeadError, key_hint, make_head, parse_head, verify_head
from ledger.keyring import KeyRing

ORIGIN = "bailiwick.test/ledger"
AT = 1_795_391_100_123


@pytest.fixture
def note(keys: KeyRing) -> str:
    return make_head(keys, ORIGIN, 1742, b"r" * 32, AT).note


def test_a_head_is_a_checkpoint_in_a_signed_note(keys: KeyRing, note: str) -> None:
    root = base64.b64encode(b"r" * 32).decode()
    text, signature = note.split("\n\n")
    assert text == f"{ORIGIN}\n1742\n{root}\nat 2026-11-22T23:45:00.123Z"
    assert signature.startswith(f"— {ORIGIN} ")
    blob = base64.b64decode(signature.split(" ")[2])
    (key,) = keys.public_keys("head").values()
    assert blob[:4] == key_hint(ORIGIN, key)
    assert len(blob) == 68


def test_a_head_reads_back_and_verifies(keys: KeyRing, note: str) -> None:
    head = verify_head(note, ORIGIN, keys.public_keys("head"))
    assert head == parse_head(note)
    assert (head.origin, head.size, head.root, head.at_ms, head.note) == (ORIGIN, 1742, b"r" * 32, AT, note)


def test_cosignatures_of_witnesses_are_passed_over(keys: KeyRing, note: str) -> None:
    cosigned = note + f"— witness.test {base64.b64encode(b'x' * 76).decode()}\n"
    assert verify_head(cosigned, ORIGIN, keys.public_keys("head")).size == 1742


def _line(note: str, number: int, text: str) -> str:
    lines = note.split("\n")
    lines[number] = text
    return "\n".join(lines)


FORGED: dict[str, tuple[Callable[[str], str], str]] = {
    "another size": (lambda note: _line(note, 1, "1743"), "signature"),
    "another root": (lambda note: _line(note, 2, base64.b64encode(b"s" * 32).decode()), "signature"),
    "another time": (lambda note: _line(note, 3, "at 2026-11-22T23:45:00.124Z"), "signature"),
    "another log": (lambda note: note.replace(ORIGIN, "other.test"), "not of"),
    "another key name": (lambda note: note.replace(f"— {ORIGIN}", "— other.test"), "not signed"),
    "an unknown key": (
        lambda note: _line(note, 5, f"— {ORIGIN} {base64.b64encode(b'x' * 68).decode()}"),
        "not",
    ),
    "no signature": (lambda note: note.partition("\n\n")[0] + "\n", "empty line"),
    "a torn end": (lambda note: note[:-1], "empty line"),
    "a torn signature": (lambda note: note[:-6] + "\n", "base64"),
    "a signature line of another kind": (lambda note: note.replace("— ", "- "), "dash"),
    "a size with a zero in front": (lambda note: _line(note, 1, "01742"), "not the size"),
    "a negative size": (lambda note: _line(note, 1, "-1"), "not the size"),
    "a size in other digits": (lambda note: _line(note, 1, "١٧"), "not the size"),
    "a short root": (lambda note: _line(note, 2, "AAAA"), "base64"),
    "a root with spare bits": (lambda note: _line(note, 2, "A" * 42 + "B="), "base64"),
    "no time": (lambda note: _line(note, 3, "on 2026-11-22"), "four lines"),
    "another form of time": (lambda note: _line(note, 3, "at 2026-11-22"), "no time"),
    "a line more": (lambda note: _line(note, 3, "at 2026-11-22T23:45:00.123Z\nmore"), "four lines"),
    "a log without a name": (lambda note: _line(note, 0, ""), "cannot name a log"),
    "nothing": (lambda _: "", "empty line"),
}


@pytest.mark.parametrize("name", FORGED)
def test_a_false_head_is_refused(keys: KeyRing, note: str, name: str) -> None:
    forge, reason = FORGED[name]
    with pytest.raises(HeadError, match=reason):
        verify_head(forge(note), ORIGIN, keys.public_keys("head"))


def test_a_head_of_another_server_is_refused(tmp_path_factory: pytest.TempPathFactory, note: str) -> None:
    other = KeyRing.create(tmp_path_factory.mktemp("other") / "keys")
    with pytest.raises(HeadError, match="not signed by a key of this log"):
        verify_head(note, ORIGIN, other.public_keys("head"))


def test_a_key_for_something_else_signs_no_head(keys: KeyRing, note: str) -> None:
    with pytest.raises(HeadError, match="not signed by a key of this log"):
        verify_head(note, ORIGIN, keys.public_keys("export"))
