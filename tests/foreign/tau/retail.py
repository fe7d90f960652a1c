"""The retail tools, written from the published policy and schemas.

What they do is the policy's: an order is cancelled or modified while it is pending, returned or exchanged
once it is delivered; items change to available variants of the same product; a gift card pays and is refunded
at once. What they call the fields that they add is the simulator's, or its records could not be compared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from tests.foreign.tau.arithmetic import calculate
from tests.foreign.tau.database import Database, Document, Refused

MODIFIED = "pending (item modified)"


class Retail:
    """One method for each tool; its arguments are the tool's."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def find_user_id_by_email(self, email: str) -> str:
        def is_meant(user: Document) -> bool:
            return bool(user["email"].lower() == email.lower())

        return self._find(is_meant)

    def find_user_id_by_name_zip(self, first_name: str, last_name: str, zip: str) -> str:
        wanted = (first_name.lower(), last_name.lower(), zip)

        def is_meant(user: Document) -> bool:
            name = user["name"]
            return (name["first_name"].lower(), name["last_name"].lower(), user["address"]["zip"]) == wanted

        return self._find(is_meant)

    def get_user_details(self, user_id: str) -> Document:
        return self._user(user_id)

    def get_order_details(self, order_id: str) -> Document:
        return self._order(order_id)

    def get_product_details(self, product_id: str) -> Document:
        return self._db.get("products", product_id, "product")

    def list_all_product_types(self) -> Document:
        return {product["name"]: key for key, product in self._db.all("products")}

    def calculate(self, expression: str) -> str:
        return calculate(expression)

    def think(self, thought: str) -> str:
        return ""

    def transfer_to_human_agents(self, summary: str) -> str:
        return "Transfer successful"

    def cancel_pending_order(self, order_id: str, reason: str) -> Document:
        order = self._order(order_id, "pending")
        if reason not in ("no longer needed", "ordered by mistake"):
            raise Refused("invalid reason")
        for payment in list(order["payment_history"]):
            method, amount = payment["payment_method_id"], payment["amount"]
            order["payment_history"].append(_transaction("refund", amount, method))
            self._move_balance(order["user_id"], method, amount)
        return self._store(order, status="cancelled", cancel_reason=reason)

    def modify_pending_order_address(self, order_id: str, **address: str) -> Document:
        # Also once its items were modified: that fixes what is in the parcel, and not where it goes.
        order = self._order(order_id, "pending", MODIFIED)
        return self._store(order, address=address)

    def modify_user_address(self, user_id: str, **address: str) -> Document:
        user = self._user(user_id)
        user["address"] = address
        self._db.put("users", user_id, user)
        return user

    def modify_pending_order_payment(self, order_id: str, payment_method_id: str) -> Document:
        order = self._order(order_id, "pending")
        method = self._method(order["user_id"], payment_method_id)
        history = order["payment_history"]
        if len(history) != 1 or history[0]["transaction_type"] != "payment":
            raise Refused("there should be exactly one payment for a pending order")
        paid, before = history[0]["amount"], history[0]["payment_method_id"]
        if before == payment_method_id:
            raise Refused("the new payment method should be different from the current one")
        _check_balance(method, paid)
        history += [
            _transaction("payment", paid, payment_method_id),
            _transaction("refund", paid, before),
        ]
        self._move_balance(order["user_id"], payment_method_id, -paid)
        self._move_balance(order["user_id"], before, paid)
        return self._store(order)

    def modify_pending_order_items(
        self, order_id: str, item_ids: list[str], new_item_ids: list[str], payment_method_id: str
    ) -> Document:
        order = self._order(order_id, "pending")
        chosen = self._pairs(order, item_ids, new_item_ids)
        difference = sum(variant["price"] - item["price"] for item, variant in chosen)
        _check_balance(self._method(order["user_id"], payment_method_id), difference)
        for item, variant in chosen:
            item |= {key: variant[key] for key in ("item_id", "price", "options")}
        kind = "payment" if difference > 0 else "refund"
        order["payment_history"].append(_transaction(kind, abs(difference), payment_method_id))
        self._move_balance(order["user_id"], payment_method_id, -difference)
        return self._store(order, status=MODIFIED)

    def return_delivered_order_items(
        self, order_id: str, item_ids: list[str], payment_method_id: str
    ) -> Document:
        order = self._order(order_id, "delivered")
        method = self._method(order["user_id"], payment_method_id)
        if method["source"] != "gift_card" and payment_method_id != _paid_with(order):
            raise Refused("the refund goes to the original payment method or to a gift card")
        _items(order, item_ids)
        return self._store(
            order,
            status="return requested",
            return_items=sorted(item_ids),
            return_payment_method_id=payment_method_id,
        )

    def exchange_delivered_order_items(
        self, order_id: str, item_ids: list[str], new_item_ids: list[str], payment_method_id: str
    ) -> Document:
        order = self._order(order_id, "delivered")
        chosen = self._pairs(order, item_ids, new_item_ids)
        difference = round(sum(variant["price"] - item["price"] for item, variant in chosen), 2)
        _check_balance(self._method(order["user_id"], payment_method_id), difference)
        return self._store(
            order,
            status="exchange requested",
            exchange_items=sorted(item_ids),
            exchange_new_items=sorted(new_item_ids),
            exchange_payment_method_id=payment_method_id,
            exchange_price_difference=difference,
        )

    def _find(self, is_meant: Callable[[Document], bool]) -> str:
        for key, user in self._db.all("users"):
            if is_meant(user):
                return key
        raise Refused("user not found")

    def _user(self, user_id: str) -> Document:
        return self._db.get("users", user_id, "user")

    def _order(self, order_id: str, *states: str) -> Document:
        order = self._db.get("orders", order_id, "order")
        if states and order["status"] not in states:
            raise Refused(f"non-{states[0]} order cannot be changed like this")
        return order

    def _store(self, order: Document, **fields: Any) -> Document:
        changed = order | fields
        self._db.put("orders", order["order_id"], changed)
        return changed

    def _method(self, user_id: str, method_id: str) -> Document:
        methods = self._user(user_id)["payment_methods"]
        if method_id not in methods:
            raise Refused("payment method not found")
        return methods[method_id]

    def _move_balance(self, user_id: str, method_id: str, amount: float) -> None:
        """A gift card is charged and refunded at once; everything else takes days, outside of this data."""
        user = self._user(user_id)
        method = user["payment_methods"].get(method_id)
        if method is not None and method["source"] == "gift_card":
            method["balance"] = round(method["balance"] + amount, 2)
            self._db.put("users", user_id, user)

    def _pairs(self, order: Document, old: list[str], new: list[str]) -> list[tuple[Document, Document]]:
        """Each item with the variant that it becomes: available, and of the same product."""
        if len(old) != len(new):
            raise Refused("as many new items as old ones are needed")
        pairs: list[tuple[Document, Document]] = []
        for item, wanted in zip(_items(order, old), new, strict=True):
            variants = self._db.get("products", item["product_id"], "product")["variants"]
            if wanted not in variants or not variants[wanted]["available"]:
                raise Refused(f"new item {wanted} not found or available")
            pairs.append((item, variants[wanted]))
        return pairs


def _items(order: Document, item_ids: list[str]) -> list[Document]:
    """The order's items of these ids; one that is named twice must be there twice."""
    left = list(order["items"])
    if Counter(item_ids) - Counter(item["item_id"] for item in left):
        raise Refused("some item not found")
    found: list[Document] = []
    for item_id in item_ids:
        item = next(item for item in left if item["item_id"] == item_id and not _is_in(item, found))
        found.append(item)
    return found


def _is_in(item: Document, found: list[Document]) -> bool:
    return any(item is other for other in found)


def _paid_with(order: Document) -> str:
    return str(order["payment_history"][0]["payment_method_id"])


def _transaction(kind: str, amount: float, method_id: str) -> Document:
    return {"transaction_type": kind, "amount": amount, "payment_method_id": method_id}


def _check_balance(method: Document, amount: float) -> None:
    if method["source"] == "gift_card" and method["balance"] < amount:
        raise Refused("insufficient gift card balance")
