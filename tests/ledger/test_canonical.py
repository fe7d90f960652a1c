"""Canonical JSON: one meaning, one spelling, and everything else refused."""

import hashlib
import json
import math

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from ledger.canonical import (
    MAX_DEPTH,
    MAX_NUMBER,
    OWN_DEPTH,
    CanonicalError,
    JsonValue,
    canonical,
    check_value,
    digest,
    parse_strict,
    read_plain,
    text_digest,
)

_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_scalars: st.SearchStrategy[JsonValue] = (
    st.none()
    | st.booleans()
    | st.integers(-MAX_NUMBER, MAX_NUMBER)
    | st.floats(-MAX_NUMBER, MAX_NUMBER, allow_nan=False)
    | _texts
)
json_values: st.SearchStrategy[JsonValue] = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_texts, inner, max_size=4),
    max_leaves=25,
)


@given(json_values)
def test_canonical_bytes_parse_back_to_the_checked_value(value: JsonValue) -> None:
    assert parse_strict(canonical(value)) == check_value(value)


@given(json_values)
def test_canonicalising_twice_changes_nothing(value: JsonValue) -> None:
    once = canonical(value)
    assert canonical(parse_strict(once)) == once


@given(json_values)
def test_the_fast_encoder_spells_exactly_as_rfc_8785(value: JsonValue) -> None:
    assert canonical(value) == rfc8785.dumps(value)


@given(json_values, st.sampled_from([None, 1, 4]), st.booleans(), st.booleans())
def test_case_14_white_space_escapes_and_key_order_do_not_change_the_bytes(
    value: JsonValue, indent: int | None, ascii_only: bool, backwards: bool
) -> None:
    shuffled = _reversed(value) if backwards else value
    spelled = json.dumps(shuffled, indent=indent, ensure_ascii=ascii_only)
    assert canonical(parse_strict(spelled)) == canonical(value)


def _reversed(value: JsonValue) -> JsonValue:
    match value:
        case dict():
            return {key: _reversed(item) for key, item in reversed(value.items())}
        case list():
            return [_reversed(item) for item in value]
        case _:
            return value


# RFC 8785, appendix B: the IEEE 754 bits and their spelling.
@pytest.mark.parametrize(
    ("number", "spelling"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (5e-324, "5e-324"),
        (-5e-324, "-5e-324"),
        (9007199254740991.0, "9007199254740991"),
        (333333333.3333332, "333333333.3333332"),
        (333333333.33333325, "333333333.33333325"),
        (0.000001, "0.000001"),
        (9.999999999999997e-7, "9.999999999999997e-7"),
        (-0.0000033333333333333333, "-0.0000033333333333333333"),
        (1424953923781206.2, "1424953923781206.2"),
    ],
)
def test_numbers_are_spelled_as_in_appendix_b(number: float, spelling: str) -> None:
    assert canonical(number).decode() == spelling


def test_keys_are_sorted_by_utf_16_code_units() -> None:
    # RFC 8785, section 3.2.3: U+1F600 sorts as its surrogate 0xD83D, before U+FB33.
    assert canonical({"\ufb33": 1, "\U0001f600": 2, "1": 3}) == '{"1":3,"\U0001f600":2,"\ufb33":1}'.encode()


@pytest.mark.parametrize("spelling", ["1", "1.0", "1e0", "10e-1", "1.000"])
def test_case_16_a_whole_number_has_one_digest_and_one_value_however_it_is_written(spelling: str) -> None:
    value = parse_strict(f'{{"amount":{spelling}}}')
    assert digest("test", value) == digest("test", {"amount": 1})
    assert json.dumps(value) == '{"amount": 1}'


_DEEP = MAX_DEPTH + 1

REFUSED: dict[str, tuple[bytes, str]] = {
    "15 the same key twice": (b'{"a":1,"a":2}', "twice"),
    "15 the same key twice, escaped": (rb'{"a":1,"\u0061":2}', "twice"),
    "15 the same key twice, deep inside": (b'[{"x":{"a":1,"b":2,"a":1}}]', "twice"),
    "17 NaN": (b"[NaN]", "NaN"),
    "17 Infinity": (b"[Infinity]", "Infinity"),
    "17 -Infinity": (b"[-Infinity]", "Infinity"),
    "17 1e400": (b"[1e400]", "finite"),
    "17 an integer beyond 2^53-1": (b"[9007199254740992]", "2^53"),
    "17 a negative integer beyond -(2^53-1)": (b"[-9007199254740992]", "2^53"),
    "17 the same written as a float": (b"[9007199254740992.0]", "2^53"),
    "17 an integer of 5000 digits": (b"[" + b"9" * 5000 + b"]", "not JSON"),
    "17 a lone high surrogate": (rb'["\ud83d"]', "surrogate"),
    "17 a lone low surrogate in a key": (rb'{"\ude00":1}', "surrogate"),
    "20 too deep": (b"[" * _DEEP + b"]" * _DEEP, "deeper"),
    "20 depth 30000": (b"[" * 30_000 + b"]" * 30_000, "deeper"),
    "20 10 MB": (b'"' + b"x" * 10_000_000 + b'"', "at most 65536"),
    "bad UTF-8": (b'"\xff"', "UTF-8"),
    "UTF-8 of a surrogate": (b'"\xed\xa0\x80"', "UTF-8"),
    "UTF-16": ('"a"'.encode("utf-16"), "UTF-8"),
    "a byte order mark": (b"\xef\xbb\xbf1", "not JSON"),
    "nothing": (b"", "not JSON"),
    "two values": (b"1 2", "not JSON"),
    "a comment": (b"1 // one", "not JSON"),
    "a trailing comma": (b"[1,]", "not JSON"),
    "a raw line break in a text": (b'"a\nb"', "not JSON"),
    "single quotes": (b"'a'", "not JSON"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_json_without_one_clear_meaning_is_refused(name: str) -> None:
    raw, reason = REFUSED[name]
    with pytest.raises(CanonicalError, match=reason.replace("^", r"\^")):
        parse_strict(raw)


def test_text_that_is_no_unicode_is_refused() -> None:
    with pytest.raises(CanonicalError, match="UTF-8"):
        parse_strict('"\ud83d"')


def test_the_limits_themselves_are_accepted() -> None:
    assert parse_strict(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)
    assert parse_strict(str(MAX_NUMBER)) == MAX_NUMBER
    assert parse_strict(b'"' + b"x" * 65_534 + b'"')


def _endless() -> list[object]:
    value: list[object] = []
    value.append(value)
    return value


UNREPRESENTABLE: dict[str, object] = {
    "NaN": math.nan,
    "infinity": -math.inf,
    "2^53": 2**53,
    "a lone surrogate": ["\ud800"],
    "a key that is no text": {1: "a"},
    "bytes": b"a",
    "a set": {"a"},
    "a list that holds itself": _endless(),
}


@pytest.mark.parametrize("name", UNREPRESENTABLE)
def test_a_parsed_value_meets_the_same_limits(name: str) -> None:
    with pytest.raises(CanonicalError):
        check_value(UNREPRESENTABLE[name])


def test_what_was_checked_cannot_be_changed_through_the_original() -> None:
    inner: list[JsonValue] = [1]
    original: dict[str, JsonValue] = {"list": inner, "tuple": [2]}
    checked = check_value(original)
    inner.append(2)
    assert checked == {"list": [1], "tuple": [2]}
    assert check_value({"t": (1, 2)}) == {"t": [1, 2]}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("\u00e9", "e\u0301"),  # 18: composed and decomposed
        ("pay", "p\u0430y"),  # 18: a Cyrillic a
        ("ab", "a\u200bb"),  # 18: a zero-width space
        (None, ""),  # 21
        ({}, {"a": None}),  # 21
        ([], {}),
        (1, "1"),
        (1, True),
    ],
)
def test_case_18_case_21_values_that_only_look_alike_have_different_digests(
    one: JsonValue, other: JsonValue
) -> None:
    assert digest("test", one) != digest("test", other)


def test_a_digest_belongs_to_its_domain() -> None:
    assert digest("one", {}) != digest("other", {})
    assert digest("bailiwick-call-v1", {"a": 1}) == (
        "sha256:" + hashlib.sha256(b'bailiwick-call-v1\0{"a":1}').hexdigest()
    )


def test_the_digest_of_a_text_is_that_of_its_utf_8() -> None:
    assert text_digest("") == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@given(json_values)
def test_what_is_read_the_quick_way_is_read_as_the_thorough_way_reads_it(value: JsonValue) -> None:
    raw = canonical(value)
    quick = read_plain(raw)
    assert quick is None or (quick == value and type(quick) is type(parse_strict(raw)))


_plain_values: st.SearchStrategy[JsonValue] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-MAX_NUMBER, MAX_NUMBER)
    | st.text('ab "\\\n\u0007üß\u2028', max_size=9),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("abÄz_", max_size=5), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(_plain_values)
def test_the_quick_way_is_open_to_what_entries_are_made_of(value: JsonValue) -> None:
    assert read_plain(canonical([value])) == [value]


@given(json_values, st.data())
def test_the_quick_way_never_takes_what_is_not_canonical(value: JsonValue, data: st.DataObject) -> None:
    raw = canonical([value])
    at = data.draw(st.integers(0, len(raw)))
    inserted = data.draw(
        st.sampled_from([b" ", b"0", b".0", b"e1", b"-", b"\\u0061", b",", b"\xf0\x9f\x99\x82", b"{}"])
    )
    changed = raw[:at] + inserted + raw[at:]
    if read_plain(changed) is not None:
        assert canonical(parse_strict(changed, max_depth=OWN_DEPTH)) == changed


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a":1,"a":1}',
        b'{"b":1,"a":1}',
        b'{"a":1.0}',
        b'{"a":1e2}',
        b'{"a":-0}',
        b'{"a":9007199254740993}',
        b'{"a":100000000000000000000}',
        b'{"a":NaN}',
        b'{"a":"\\ud800"}',
        b'{"a":"\\u0041"}',
        b'{"a":"\xff"}',
        b'\xef\xbb\xbf{"a":1}',
        b'{"a":1}\n',
        '{"\U0001f642":1,"\ufb01":2}'.encode(),
        b"[" * 65 + b"]" * 65,
    ],
)
def test_the_quick_way_leaves_every_doubtful_text_to_the_thorough_one(raw: bytes) -> None:
    assert read_plain(raw) is None
