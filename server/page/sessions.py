"""Who is signed in to the approval page: a secret in the browser's cookie, its digest in the ledger.

A session shows things to a person. It signs nothing: every verdict carries a signature of the person's own
key. It holds only while the key that opened it is in force, and it is nobody at MCP, as an agent's key is
nobody here.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from ledger.ids import is_id, random_token
from ledger.ledger import Ledger
from ledger.transaction import Reading, Transaction
from policies.people import holder_of_key
from policies.principals import Person
from server.tables import page_sessions

SESSION_PREFIX: Final = "bps"
SESSION_MS: Final = 8 * 60 * 60 * 1_000
"""How long one stays signed in: a day's work."""

_sessions = page_sessions


@dataclass(frozen=True, slots=True)
class Session:
    """A person who is signed in, the key that they did it with, and what their browser's own pages send
    along.
    """

    person: Person
    kid: str
    csrf: str


def start_session(ledger: Ledger, person: Person, kid: str) -> str:
    """Open a session for who has just proved to hold the key; its secret. Those that are over are dropped."""
    secret = random_token(SESSION_PREFIX)
    row = {"digest": _digest(secret), "person": person.id, "kid": kid}

    def start(tx: Transaction) -> None:
        tx.execute(_sessions.delete().where(_sessions.c.ends_ms <= tx.now_ms))
        times = {"started_ms": tx.now_ms, "ends_ms": tx.now_ms + SESSION_MS}
        tx.execute(_sessions.insert(), {**row, **times})

    ledger.transact_now(start)
    return secret


def find_session(reading: Reading, secret: str | None, now_ms: int) -> Session | None:
    """The session that a cookie stands for, with the roles that its person has now; None if it is none."""
    if secret is None or not is_id(SESSION_PREFIX, secret):
        return None
    row = reading.one(
        _sessions.select().where(_sessions.c.digest == _digest(secret), _sessions.c.ends_ms > now_ms)
    )
    holder = None if row is None else holder_of_key(reading, row.kid)
    if row is None or holder is None or holder.person.id != row.person or not holder.person.roles:
        return None
    return Session(holder.person, holder.kid, csrf_of(secret))


def end_session(ledger: Ledger, secret: str) -> None:
    """Sign out: the secret is worth nothing any more, on every server of this ledger."""

    def end(tx: Transaction) -> None:
        tx.execute(_sessions.delete().where(_sessions.c.digest == _digest(secret)))

    ledger.transact_now(end)


def csrf_of(secret: str) -> str:
    """What only a page that was served to this session can send along; the secret cannot be told from it."""
    return hashlib.sha256(b"bailiwick-page-csrf-v1\0" + secret.encode()).hexdigest()


def challenge_of(secret: str) -> str:
    """What a browser has to sign to sign in, from the secret that it was given for it."""
    return hashlib.sha256(b"bailiwick-page-challenge-v1\0" + secret.encode()).hexdigest()


def _digest(secret: str) -> str:
    return hashlib.sha256(b"bailiwick-page-session-v1\0" + secret.encode()).hexdigest()
