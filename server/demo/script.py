"""What the scripted agent knows: two refunds, and in each step what it looks up, quotes and concludes.

It is a script, so it finds what it quotes by the words that it expects. A model would read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

REFUND: Final = "desk__refund_order"


@dataclass(frozen=True, slots=True)
class Part:
    """One step: the tool it uses, the words by which it finds its quotes, and what it concludes.

    `rule` stands in the policy, `order` in what the read step saw of the order, `own` in what the step's own
    tool answered.
    """

    step: str
    rule: str
    order: str
    reason: str
    state: Mapping[str, Any]
    tool: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])
    own: str = ""
    proposes: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    """One customer's refund: what they wrote, what it comes to, and the five steps to it."""

    order: str
    request: str
    amount_cents: int
    reason: str
    parts: tuple[Part, ...]

    @property
    def call(self) -> dict[str, Any]:
        """The arguments of the refund that the draft proposes and the execute step makes."""
        return {"amount_cents": self.amount_cents, "reason": self.reason}


def _case(
    order: str,
    request: str,
    amount_cents: int,
    reason: str,
    *,
    customer: str,
    paid_cents: int,
    kind: str,
    repeated: bool,
    rule: str,
    basis: str,
    item: str,
    note: str,
    message: str,
) -> Case:
    parts = (
        Part(
            "read",
            rule,
            note,
            "The order says what the customer says.",
            {"customer": customer, "paid_cents": paid_cents, "problem": reason},
            tool="desk__get_order",
        ),
        Part(
            "classify",
            rule,
            note,
            "The policy names this case, and nothing of the customer's other orders speaks against it.",
            {"case": kind, "repeated": repeated},
            tool="desk__list_orders_of_customer",
            own=order,
        ),
        Part(
            "plan",
            rule,
            item,
            "The rule gives the amount, and the desk says that it is possible.",
            {"amount_cents": amount_cents, "basis": basis},
            tool="desk__check_refund",
            arguments={"amount_cents": amount_cents},
            own="possible",
        ),
        Part(
            "draft",
            "Name the amount in euros",
            item,
            "The answer names the amount and the item first, as our tone asks for.",
            {"message": message},
            proposes=True,
        ),
        Part("execute", rule, item, "The refund was paid once.", {"refunded_cents": amount_cents}),
    )
    return Case(order, request, amount_cents, reason, parts)


DAMAGED: Final = _case(
    "o-1001",
    "The lid of my new kettle was cracked when it arrived. I have sent you two photos. "
    "I would like to have the money for the damaged kettle back.",
    6450,
    "The kettle arrived damaged: its lid was cracked.",
    customer="c-17",
    paid_cents=8450,
    kind="damaged",
    repeated=False,
    rule="only one item of an order is damaged",
    basis="Only one item of the order is damaged: the price of that item.",
    item="Alder kettle",
    note="cracked on arrival",
    message="We refund 64.50 euros for your kettle, within 5 working days. Sorry that its lid was cracked.",
)
LATE: Final = _case(
    "o-1002",
    "My desk lamp arrived 12 days after the day you promised. Do I get something back for a late parcel?",
    890,
    "The parcel was late: it arrived 12 days after the promised day.",
    customer="c-22",
    paid_cents=8900,
    kind="late",
    repeated=True,
    rule="For a late parcel we refund",
    basis="A late parcel: 10 percent of what was paid for the goods in it.",
    item="Birch desk lamp",
    note="12 days after the promised day",
    message="We refund 8.90 euros for your desk lamp, within 5 working days. Sorry that it came so late.",
)
"""The second run, which waits for a person: another order, so that its refund is possible too."""
