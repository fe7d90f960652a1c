"""Bringing a log's heads to a witness, and stopping when the witness knows better.

One thread for each witness. It submits the newest head with its proof of extension: at intervals, and at once
when somebody waits for it. A refusal that no honest log can meet (the witness saw more than there is, or
another history) is remembered: from then on no write is let through.
"""

import asyncio
import logging
import threading
from concurrent.futures import Future
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from ledger.clock import Clock, rfc3339, system_now_ms
from ledger.errors import LedgerDamaged, LedgerError, LedgerUnavailable
from ledger.heads import HeadError, SignedHead, VerifierKey
from ledger.ledger import Ledger
from ledger.proving import extension_hashes
from ledger.witness import Reply, Submission, Witness, verify_cosignature

INTERVAL_S = 1.0
"""How often a witness is told of a new head when nobody waits, in seconds."""

CLOCK_TOLERANCE_MS = 30_000
"""How far the clocks of a witness and of this machine may be apart, in milliseconds."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WitnessPlace:
    """A witness: what messages call it, how to reach it, and its key if its confirmations count."""

    name: str
    witness: Witness
    key: VerifierKey | None = None


class Witnessing:
    """Keeps one witness up to date with one ledger."""

    def __init__(
        self,
        ledger: Ledger,
        place: WitnessPlace,
        *,
        sync: bool,
        clock: Clock = system_now_ms,
        interval_s: float = INTERVAL_S,
    ) -> None:
        """Compare the log with what the witness knows, then start the thread.

        `sync`: a write waits until the witness has its head; otherwise it is told at intervals.
        Raises `LedgerDamaged` if the witness knows another history or a longer one, `LedgerUnavailable` if it
        cannot be asked.
        """
        self._ledger = ledger
        self._place = place
        self._sync = sync
        self._clock = clock
        self._interval_s = interval_s
        self._seen = 0
        self._trouble: LedgerError | None = None
        self._asked: SimpleQueue[Future[None] | None] = SimpleQueue()
        self._closed = False
        try:
            self._submit()
        except BaseException:
            place.witness.close()
            raise
        self._thread = threading.Thread(target=self._run, name="ledger-witness", daemon=True)
        self._thread.start()

    async def may_begin(self) -> None:
        """Before a write is redeemed: raises a `LedgerError` if its head could not be witnessed then."""
        if isinstance(self._trouble, LedgerDamaged):
            raise _again(self._trouble)
        if self._sync and self._trouble is not None:
            await self._followed()

    async def follow(self) -> None:
        """Between a commit and its effect: return once the witness has the head, if writes wait for that."""
        if self._sync:
            await self._followed()

    def close(self) -> None:
        """Tell the witness of the newest head if that can be done at once, then end the thread."""
        if not self._closed:
            self._closed = True
            self._asked.put(None)
            self._thread.join()
            self._place.witness.close()

    async def _followed(self) -> None:
        answer: Future[None] = Future()
        self._asked.put(answer)
        await asyncio.wrap_future(answer)

    def _run(self) -> None:
        open_for_more = True
        while open_for_more:
            waiting, open_for_more = self._next()
            try:
                self._submit()
            except Exception as error:  # noqa: BLE001  the thread must outlive whatever a witness does
                self._failed(error)
                for answer in waiting:
                    answer.set_exception(_again(error))
            else:
                for answer in waiting:
                    answer.set_result(None)

    def _next(self) -> tuple[list[Future[None]], bool]:
        """Who waits now, after the interval or as soon as there is somebody; False once it is closed."""
        waiting: list[Future[None]] = []
        try:
            while True:
                answer = self._asked.get(timeout=0 if waiting else self._interval_s)
                if answer is None:
                    return waiting, False
                if answer.set_running_or_notify_cancel():
                    waiting.append(answer)
        except Empty:
            return waiting, True

    def _failed(self, error: Exception) -> None:
        if str(error) != str(self._trouble):
            _logger.error("the log is not witnessed: %s", error)
        self._trouble = _again(error)

    def _submit(self) -> None:
        if isinstance(self._trouble, LedgerDamaged):
            raise self._trouble
        head = self._ledger.head()
        if head is None or head.size == self._seen:
            return
        reply = self._send(self._seen, head)
        if reply.status == 409 and reply.body.strip().isdecimal():
            # Somebody else told it more, or it is new to us. The log may have grown meanwhile: look again.
            known, head = int(reply.body), self._ledger.head() or head
            self._refuse_longer(known, head)
            reply = self._send(known, head)
        self._take(head, reply)

    def _send(self, old_size: int, head: SignedHead) -> Reply:
        hashes = self._ledger.read(lambda reading: extension_hashes(reading, old_size, head))
        return self._place.witness.submit(Submission(old_size, tuple(hashes) if old_size else (), head.note))

    def _refuse_longer(self, known: int, head: SignedHead) -> None:
        if known > head.size:
            raise LedgerDamaged(
                f"The log has {head.size} entries, but {self._place.name} saw {known}: an older copy was put "
                "in its place. Bring back the newest copy; SECURITY.md says what to do if there is none."
            )

    def _take(self, head: SignedHead, reply: Reply) -> None:
        name = self._place.name
        if reply.status in (409, 422):
            raise LedgerDamaged(
                f"What stands here at {head.size} entries is another history of this log than {name} saw. "
                "Compare both with `bailiwick audit verify --witness`, and bring back the true copy."
            )
        if reply.status != 200:
            raise LedgerUnavailable(
                f"Heads of this log are not accepted by {name} (status {reply.status}); make the log's key "
                "known there, as `bailiwick key ring` shows it."
            )
        if self._place.key is not None:
            self._confirmed(head, reply, self._place.key)
        self._seen, self._trouble = head.size, None

    def _confirmed(self, head: SignedHead, reply: Reply, key: VerifierKey) -> None:
        try:
            at_ms = verify_cosignature(head.note, reply.body, key) * 1000
        except HeadError as error:
            raise LedgerUnavailable(
                f"{error} Look at the setting witness_key, and at who answers there."
            ) from error
        now_ms = self._clock()
        # It counts in whole seconds.
        if not -CLOCK_TOLERANCE_MS - 1000 <= at_ms - now_ms <= CLOCK_TOLERANCE_MS:
            raise LedgerUnavailable(
                f"It is {rfc3339(now_ms)} here and {rfc3339(at_ms)} at {self._place.name}; "
                "set the clock right."
            )


def _again(error: Exception) -> LedgerError:
    """A new exception for each who waits, because tracebacks grow on them."""
    if isinstance(error, LedgerError):
        return type(error)(*error.args)
    return LedgerUnavailable(f"The witness cannot be used ({type(error).__name__}: {error}).")
