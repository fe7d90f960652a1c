"""The airline tools, written from the published policy and schemas.

Four habits are the simulator's own and not the policy's; its records could not be compared without them:
a booking takes no seat away; a change of cabin changes prices and not the reservation's `cabin`; new
reservations are called HATHAT, HATHAU, HATHAV and new certificates 3221322 to 3221324; and the clock stands
still at the policy's current time.
"""

from __future__ import annotations

from typing import Any

from tests.foreign.tau.arithmetic import calculate
from tests.foreign.tau.database import Database, Document, Refused

NOW = "2024-05-15T15:00:00"
NEW_RESERVATIONS = ("HATHAT", "HATHAU", "HATHAV")
NEW_CERTIFICATES = tuple(f"certificate_{number}" for number in (3221322, 3221323, 3221324))
EXTRA_BAG, INSURANCE = 50, 30
MOST_OF_A_KIND = {"certificate": 1, "credit_card": 1, "gift_card": 3}


class Airline:
    """One method for each tool; its arguments are the tool's."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def get_user_details(self, user_id: str) -> Document:
        return self._user(user_id)

    def get_reservation_details(self, reservation_id: str) -> Document:
        return self._reservation(reservation_id)

    def list_all_airports(self) -> list[str]:
        return sorted({flight["origin"] for _, flight in self._db.all("flights")})

    def search_direct_flight(self, origin: str, destination: str, date: str) -> list[Document]:
        return [
            _offer(flight, date)
            for _, flight in self._db.all("flights")
            if (flight["origin"], flight["destination"]) == (origin, destination) and _is_open(flight, date)
        ]

    def search_onestop_flight(self, origin: str, destination: str, date: str) -> list[list[Document]]:
        flights = [flight for _, flight in self._db.all("flights") if _is_open(flight, date)]
        return [
            [_offer(first, date), _offer(second, date)]
            for first in flights
            if first["origin"] == origin
            for second in flights
            if (second["origin"], second["destination"]) == (first["destination"], destination)
            and second["scheduled_departure_time_est"] >= first["scheduled_arrival_time_est"]
        ]

    def calculate(self, expression: str) -> str:
        return calculate(expression)

    def think(self, thought: str) -> str:
        return ""

    def transfer_to_human_agents(self, summary: str) -> str:
        return "Transfer successful"

    def book_reservation(
        self,
        user_id: str,
        origin: str,
        destination: str,
        flight_type: str,
        cabin: str,
        flights: list[Document],
        passengers: list[Document],
        payment_methods: list[Document],
        total_baggages: int,
        nonfree_baggages: int,
        insurance: str,
    ) -> Document:
        user = self._user(user_id)
        booked = [self._segment(flight, cabin, len(passengers)) for flight in flights]
        each = sum(flight["price"] for flight in booked) + (INSURANCE if insurance == "yes" else 0)
        price = each * len(passengers) + EXTRA_BAG * nonfree_baggages
        self._pay(user, payment_methods, price)
        key = next(name for name in NEW_RESERVATIONS if not self._db.has("reservations", name))
        reservation: Document = {
            "reservation_id": key,
            "user_id": user_id,
            "origin": origin,
            "destination": destination,
            "flight_type": flight_type,
            "cabin": cabin,
            "flights": booked,
            "passengers": passengers,
            "payment_history": payment_methods,
            "created_at": NOW,
            "total_baggages": total_baggages,
            "nonfree_baggages": nonfree_baggages,
            "insurance": insurance,
        }
        user["reservations"].append(key)
        self._db.put("users", user_id, user)
        return self._store(reservation)

    def cancel_reservation(self, reservation_id: str) -> Document:
        # The money comes back in days (policy, Cancel flight), so no balance changes now.
        reservation = self._reservation(reservation_id)
        history = reservation["payment_history"]
        history += [_payment(paid["payment_id"], -paid["amount"]) for paid in list(history)]
        return self._store(reservation, status="cancelled")

    def send_certificate(self, user_id: str, amount: float) -> str:
        user = self._user(user_id)
        key = next(name for name in NEW_CERTIFICATES if name not in user["payment_methods"])
        user["payment_methods"][key] = {"source": "certificate", "amount": amount, "id": key}
        self._db.put("users", user_id, user)
        return f"Certificate {key} added to user {user_id} with amount {amount}."

    def update_reservation_baggages(
        self, reservation_id: str, total_baggages: int, nonfree_baggages: int, payment_id: str
    ) -> Document:
        reservation = self._reservation(reservation_id)
        extra = max(0, nonfree_baggages - reservation["nonfree_baggages"])
        self._settle(reservation, payment_id, EXTRA_BAG * extra)
        return self._store(reservation, total_baggages=total_baggages, nonfree_baggages=nonfree_baggages)

    def update_reservation_flights(
        self, reservation_id: str, cabin: str, flights: list[Document], payment_id: str
    ) -> Document:
        reservation = self._reservation(reservation_id)
        people, before = len(reservation["passengers"]), reservation["flights"]
        kept = {(flight["flight_number"], flight["date"]): flight for flight in before}
        changed: list[Document] = []
        for flight in flights:
            old = kept.get((flight["flight_number"], flight["date"]))
            # A segment that is kept keeps its price, unless the cabin is another (policy, Modify flight).
            same = old is not None and cabin == reservation["cabin"]
            changed.append(old if same and old is not None else self._segment(flight, cabin, people))
        price = sum(flight["price"] for flight in changed) - sum(flight["price"] for flight in before)
        self._settle(reservation, payment_id, price * people)
        return self._store(reservation, flights=changed)

    def update_reservation_passengers(self, reservation_id: str, passengers: list[Document]) -> Document:
        reservation = self._reservation(reservation_id)
        if len(passengers) != len(reservation["passengers"]):
            raise Refused("number of passengers does not match")
        return self._store(reservation, passengers=passengers)

    def _user(self, user_id: str) -> Document:
        return self._db.get("users", user_id, "user")

    def _reservation(self, reservation_id: str) -> Document:
        return self._db.get("reservations", reservation_id, "reservation")

    def _store(self, reservation: Document, **fields: Any) -> Document:
        changed = reservation | fields
        self._db.put("reservations", reservation["reservation_id"], changed)
        return changed

    def _segment(self, wanted: Document, cabin: str, people: int) -> Document:
        """A flight to be booked, at today's price of the cabin."""
        number, date = wanted["flight_number"], wanted["date"]
        flight = self._db.get("flights", number, f"flight {number}")
        if not _is_open(flight, date):
            raise Refused(f"flight {number} not available on date {date}")
        day = flight["dates"][date]
        if day["available_seats"][cabin] < people:
            raise Refused(f"not enough seats on flight {number}")
        places = {key: flight[key] for key in ("origin", "destination")}
        return {"flight_number": number, "date": date, "price": day["prices"][cabin], **places}

    def _pay(self, user: Document, payments: list[Document], price: float) -> None:
        """Take what a booking costs from the user's own methods; a certificate is used up whole."""
        methods = user["payment_methods"]
        used = dict.fromkeys(MOST_OF_A_KIND, 0)
        for payment in payments:
            method = methods.get(payment["payment_id"])
            if method is None:
                raise Refused(f"payment method {payment['payment_id']} not found")
            used[method["source"]] += 1
            if method["source"] != "credit_card" and method["amount"] < payment["amount"]:
                raise Refused(f"not enough balance in payment method {payment['payment_id']}")
        if any(used[kind] > most for kind, most in MOST_OF_A_KIND.items()):
            raise Refused("too many payment methods of one kind")
        if sum(payment["amount"] for payment in payments) != price:
            raise Refused(f"payment amount does not add up, total price is {price}")
        for payment in payments:
            method = methods[payment["payment_id"]]
            if method["source"] == "gift_card":
                method["amount"] -= payment["amount"]
            elif method["source"] == "certificate":
                del methods[payment["payment_id"]]

    def _settle(self, reservation: Document, payment_id: str, price: float) -> None:
        """Charge or refund a change; `reservation` is stored by the caller."""
        user = self._user(reservation["user_id"])
        method = user["payment_methods"].get(payment_id)
        if method is None:
            raise Refused("payment method not found")
        if method["source"] == "certificate":
            raise Refused("certificate cannot be used to update reservation")
        if method["source"] == "gift_card" and method["amount"] < price:
            raise Refused("gift card balance is not enough")
        if price == 0:
            return
        if method["source"] == "gift_card":
            method["amount"] -= price
            self._db.put("users", reservation["user_id"], user)
        reservation["payment_history"].append(_payment(payment_id, price))


def _is_open(flight: Document, date: str) -> bool:
    return flight["dates"].get(date, {}).get("status") == "available"


def _offer(flight: Document, date: str) -> Document:
    day = flight["dates"][date]
    shown = {key: value for key, value in flight.items() if key != "dates"}
    return shown | {key: day[key] for key in ("status", "available_seats", "prices")}


def _payment(payment_id: str, amount: float) -> Document:
    return {"payment_id": payment_id, "amount": amount}
