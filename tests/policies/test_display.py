"""What a reviewer sees: nothing hidden, nothing reordered, nothing that poses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.canonical import JsonObject
from policies.display import suspicious_characters, suspicious_values

SHOWN: dict[str, tuple[str, str, list[str]]] = {
    "plain text": ("Refund 20 EUR, please.", "Refund 20 EUR, please.", []),
    "case_19: text that is turned around": (
        "\u202e02 dnufeR",
        "\\u{202e}02 dnufeR",
        ["bidi"],
    ),
    "case_19: line breaks": ("a\nb\tc", "a\\nb\\tc", []),
    "case_19: a carriage return hides what stands before": ("a\rb", "a\\u{000d}b", ["control"]),
    "case_19: an escape sequence of a terminal": ("\x1b[2J", "\\u{001b}[2J", ["control"]),
    "case_19: markup stays as it is": ("<b>&amp;</b>", "<b>&amp;</b>", []),
    "a backslash cannot pose as an escape": ("\\u{202e}", "\\\\u{202e}", []),
    "case_18: a zero-width space": ("o-\u200b1", "o-\\u{200b}1", ["invisible"]),
    "case_18: a no-break space": ("a\u00a0b", "a\\u{00a0}b", ["invisible"]),
    "case_18: a filler": ("a\u3164b", "a\\u{3164}b", ["invisible"]),
    "case_18: a tag": ("a\U000e0041", "a\\u{e0041}", ["invisible"]),
    "case_18: a variation selector": ("a\ufe0f", "a\\u{fe0f}", ["invisible"]),
    "case_18: a Cyrillic letter in a Latin word": ("p\u0430ypal", "p\\u{0430}ypal", ["look-alike"]),
    "case_18: a Greek letter in a Latin word": ("\u03bfrder", "\\u{03bf}rder", ["look-alike"]),
    "case_18: a full-width letter in a Latin word": ("\uff41bc", "\\u{ff41}bc", ["look-alike"]),
    "a whole word in Cyrillic": ("\u043f\u0440\u0438 hello", "\u043f\u0440\u0438 hello", []),
    "letters of Latin script with marks": ("Z\u00fcrich na\u00efve", "Z\u00fcrich na\u00efve", []),
    "Chinese beside Latin": ("\u8ba2\u5355 order", "\u8ba2\u5355 order", []),
}  # fmt: skip


@pytest.mark.parametrize("sentence", SHOWN)
def test_a_text_is_shown_safely(sentence: str) -> None:
    text, shown, kinds = SHOWN[sentence]
    result = suspicious_characters(text)
    assert result.text == shown
    assert [suspicion.kind for suspicion in result.suspicions] == kinds


def test_a_suspicion_says_where_and_what() -> None:
    (suspicion,) = suspicious_characters("pay\u200bpal").suspicions
    assert (suspicion.at, suspicion.name) == (3, "ZERO WIDTH SPACE")
    (control,) = suspicious_characters("\x07").suspicions
    assert control.name == "U+0007"


@given(st.text())
def test_what_is_shown_is_one_printable_line(text: str) -> None:
    result = suspicious_characters(text)
    assert result.text.isprintable()
    assert all(text[suspicion.at] for suspicion in result.suspicions)


def test_every_place_of_a_value_is_looked_at() -> None:
    value: JsonObject = {
        "note": "a\u200bb",
        "items": [{"name": "fine"}, {"n\u0430me": "fine", "id": "x\u202e"}],
        "amount": 20,
    }
    assert [place for place, _ in suspicious_values(value)] == [
        "note",
        "items[1].n\\u{0430}me (key)",
        "items[1].id",
    ]
