"""A delivery is taken only when it is signed as Standard Webhooks 1.0 says, by a good secret, now."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tool_scopes.webhooks import Delivery, key_of, new_secret, signature, verify_delivery

# The example of the specification.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
KEY = key_of(SECRET)
BODY = b'{"test": 2432232314}'
HEADERS = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
NOW = 1_614_265_330_000
OTHER = key_of(new_secret())


def test_the_example_of_the_specification_is_genuine() -> None:
    assert verify_delivery(HEADERS, BODY, [KEY], NOW) == Delivery(HEADERS["webhook-id"], BODY)


def test_any_good_secret_and_any_signature_of_several_will_do() -> None:
    several = {**HEADERS, "webhook-signature": f"v2,x v1,{'A' * 43}= {HEADERS['webhook-signature']}"}
    assert isinstance(verify_delivery(several, BODY, [OTHER, KEY], NOW), Delivery)


FORGED: dict[str, tuple[dict[str, str], bytes, int]] = {
    "another body": ({}, BODY + b" ", 0),
    "another id": ({"webhook-id": "msg_2"}, BODY, 0),
    "another time": ({"webhook-timestamp": "1614265331"}, BODY, 0),
    "no signature": ({"webhook-signature": ""}, BODY, 0),
    "another version": ({"webhook-signature": "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="}, BODY, 0),
    "without a version": ({"webhook-signature": "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="}, BODY, 0),
    "no ASCII": ({"webhook-signature": "v1,\u00e9"}, BODY, 0),
    "no id": ({"webhook-id": ""}, BODY, 0),
    "an id of two lines": ({"webhook-id": "a\nb"}, BODY, 0),
    "no time": ({"webhook-timestamp": ""}, BODY, 0),
    "a time that is none": ({"webhook-timestamp": "1614265330.5"}, BODY, 0),
    "five minutes and more too late": ({}, BODY, 300_001),
    "five minutes and more too early": ({}, BODY, -300_001),
}


@pytest.mark.parametrize(("changes", "body", "later"), FORGED.values(), ids=FORGED)
def test_whatever_is_not_exactly_so_is_refused(changes: dict[str, str], body: bytes, later: int) -> None:
    assert isinstance(verify_delivery({**HEADERS, **changes}, body, [KEY], NOW + later), str)


def test_another_key_or_none_is_refused() -> None:
    assert isinstance(verify_delivery(HEADERS, BODY, [OTHER], NOW), str)
    assert isinstance(verify_delivery(HEADERS, BODY, [], NOW), str)


@given(st.binary(min_size=24, max_size=64), st.binary(max_size=200), st.integers(-300, 300))
def test_what_a_key_signed_is_genuine_within_five_minutes(key: bytes, body: bytes, off: int) -> None:
    headers = {
        **HEADERS,
        "webhook-signature": f"v1,{signature(key, HEADERS['webhook-id'], '1614265330', body)}",
    }
    assert isinstance(verify_delivery(headers, body, [key], NOW + off * 1_000), Delivery)


@pytest.mark.parametrize(
    "wrong", ["MfKQ9r8G", "whsec_", "whsec_!!!!", "whsec_" + base64.b64encode(b"x" * 23).decode()]
)
def test_a_secret_that_is_none_is_refused_and_never_repeated(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"^(a secret|what follows|a key)") as refused:
        key_of(wrong)
    assert wrong.removeprefix("whsec_") not in str(refused.value) or wrong == "whsec_"


def test_a_made_secret_is_a_key_of_32_bytes_and_never_the_same() -> None:
    assert len(key_of(new_secret())) == 32
    assert new_secret() != new_secret()
