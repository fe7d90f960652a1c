"""A catalogue that asks less before a write lowers the gate, and says how."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tool_scopes.catalogue import FactSource, Signatures, View
from tool_scopes.catalogue_lowering import kept_view, lowerings

STRICT = View(
    name="shop__refund",
    upstream="shop",
    tool="refund",
    sensitive=True,
    approval=Signatures(needed=3),
    precondition=FactSource("shop__order", "/version", {"id": "order"}),
    secrets=frozenset({"pin"}),
)


def in_force(**changed: Any) -> str:
    told: dict[str, Any] = {name: getattr(STRICT, name) for name in STRICT.__slots__}
    view = View(**{**told, **changed})
    return json.dumps({"upstreams": {}, "views": {view.name: kept_view(view)}})


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"sensitive": False}, "is no longer sensitive"),
        ({"approval": Signatures(needed=2)}, "needs fewer approvals"),
        ({"approval": Signatures(needed=3, role="admin")}, "is approved by people of another role (admin)"),
        ({"approval": Signatures(needed=3, four_eyes=False)}, "may be approved by the agent's owner"),
        ({"precondition": None}, "is made without the same look at its target"),
        ({"secrets": frozenset[str]()}, "no longer seals all of its secrets"),
        ({"no_effect_errors": ("nothing",)}, "takes more errors to mean that nothing happened"),
    ],
)
def test_a_write_that_is_asked_less_of_lowers_the_gate(changed: dict[str, Any], why: str) -> None:
    assert lowerings(in_force(), in_force(**changed)) == (f"shop__refund {why}",)
    assert lowerings(in_force(**changed), in_force()) == (
        () if "role" not in why else ("shop__refund is approved by people of another role (reviewer)",)
    )


def test_a_second_looser_view_of_the_same_tool_lowers_it_too() -> None:
    looser = json.loads(in_force(approval=Signatures(needed=1)))["views"]["shop__refund"]
    after = json.loads(in_force())
    after["views"]["shop__refund_quick"] = looser
    assert lowerings(in_force(), json.dumps(after)) == ("shop__refund_quick needs fewer approvals",)


def test_what_agents_read_of_a_tool_lowers_nothing() -> None:
    assert lowerings(in_force(), in_force(description="Give the money back.", hidden=False)) == ()


def test_a_read_of_a_tool_that_changed_lowers_the_gate_and_a_write_of_one_does_not() -> None:
    def reading(fingerprint: str, name: str = "shop__order") -> str:
        view = View(name=name, upstream="shop", tool="order", effect="read", fingerprint=fingerprint)
        return json.dumps({"upstreams": {}, "views": {name: kept_view(view)}})

    before = reading("sha256:" + "a" * 64)
    why = "is a read of a tool that is not as it was accepted"
    assert lowerings(before, before) == ()
    assert lowerings(before, reading("sha256:" + "b" * 64)) == (f"shop__order {why}",)
    assert lowerings(before, reading("sha256:" + "b" * 64, "shop__orders")) == (f"shop__orders {why}",)
    assert lowerings(in_force(), in_force(fingerprint="sha256:" + "b" * 64)) == ()
