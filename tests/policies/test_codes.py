"""The table of codes: complete, in the order of judgement, and each says what to do next."""

from __future__ import annotations

import pytest

from policies.codes import CODES, Denial

IN_ORDER = [
    "done", "unknown_tool", "step_closed", "invalid_arguments", "rate_limited", "frozen", "checkpoint_open",
    "policy_denied", "approval_required", "approval_mismatch", "approval_denied", "approval_revoked",
    "approval_expired", "approval_spent", "approval_pending", "policy_changed", "evidence_changed",
    "target_changed", "unavailable", "envelope_refused",
]  # fmt: skip


def test_the_codes_stand_in_the_order_of_judgement() -> None:
    assert list(CODES) == IN_ORDER
    assert [code.order for code in CODES.values()] == list(range(len(IN_ORDER)))


@pytest.mark.parametrize("name", [name for name in IN_ORDER if name != "done"])
def test_a_message_is_short_fixed_and_says_what_to_do(name: str) -> None:
    message = CODES[name].message
    assert len(message) <= 200
    assert message.endswith(".")
    assert message.count(".") >= 2
    assert "{" not in message
    assert Denial(name, reason="secret").message == message


@pytest.mark.parametrize("name", ["done", "no_such_code", ""])
def test_a_code_that_does_not_deny_is_a_bug(name: str) -> None:
    with pytest.raises(ValueError, match="not a code that denies"):
        Denial(name, reason="")
