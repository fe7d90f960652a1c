"""The one thread of a process that writes to the ledger.

Callers put jobs into a queue. The thread takes all that wait and settles them as one group: one transaction,
one signed head, one wait for the disk, one wake-up of each event loop. So a lone job pays for one commit, and
many share it. A job is answered after the commit, or nothing of it was done.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, TypeAlias

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from ledger.clock import Clock
from ledger.engine import Database, end, is_unavailable, unavailable
from ledger.errors import LedgerError, LedgerUnavailable
from ledger.log_end import (
    LogEnd,
    Seal,
    present_state,
    read_end,
    refuse_other_history,
    refuse_unsigned,
    seal_leaves,
)
from ledger.statements import execute
from ledger.tail import Tail
from ledger.transaction import Transaction

MAX_GROUP = 256
"""The most jobs in one transaction, so that a flood does not hold the write lock for long."""

DEFER_S = 0.005
"""The longest that a record waits for company when nobody waits for it, in seconds."""

MAX_DEFERRED = 1_000
"""The most records on their way to the disk that nobody waits for."""

Answer: TypeAlias = "asyncio.Future[Any] | Future[Any] | None"
"""Where a job's caller waits: in an event loop, in a thread, or not at all."""

_logger = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Job:
    """Work for the writer. `may_fail`: what it raises is its own affair and undoes only what it did.

    A job without an answer is due at `due`, by the monotonic clock: until then it may wait for others.
    """

    work: Callable[[Transaction], object]
    answer: Answer
    may_fail: bool
    due: float = 0.0
    value: object = None
    error: BaseException | None = None


class Writer:
    """Owns the writing connection, the queue and the cached end of the log."""

    def __init__(self, database: Database, seal: Seal, end: LogEnd, clock: Clock | None) -> None:
        """Start the thread. `clock` replaces the database's clock, for tests."""
        self._database = database
        self._seal = seal
        self._end = end
        self._clock = clock
        self._present_state = present_state(database)
        self._connection: Connection | None = None
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._closing = threading.Lock()
        self._closed = False
        self._deferred = 0
        self._settled = 0
        self._lost = False
        # A daemon, so that a program that forgets to close can end; what was answered is on disk already.
        self._thread = threading.Thread(target=self._run, name="ledger-writer", daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Queue a job; `LedgerUnavailable` if the ledger is closed."""
        with self._closing:
            if self._closed:
                raise LedgerUnavailable("The ledger is closed; open it again.")
            self._deferred += job.answer is None
            self._jobs.put(job)

    def defer(self, work: Callable[[Transaction], object], *, may_fail: bool) -> bool:
        """Queue a job that nobody waits for; False if somebody has to.

        That is so when many are on their way already, or when the last ones could not be written: then
        nothing more may leave before its record.
        """
        if self._lost or self._deferred - self._settled >= MAX_DEFERRED:
            return False
        self.submit(Job(work, None, may_fail, time.monotonic() + DEFER_S))
        return True

    @property
    def deferring(self) -> bool:
        """Whether jobs that nobody waits for are still on their way."""
        return self._deferred != self._settled

    @property
    def end(self) -> LogEnd:
        """The end of the log as this process last saw it committed."""
        return self._end

    def refuse_own_thread(self) -> None:
        """Raise where a work function would wait for the very thread that it is running on."""
        if threading.current_thread() is self._thread:
            raise RuntimeError("This work is inside a ledger transaction already; use the one it was given.")

    def close(self) -> None:
        """Settle what is queued, then end the thread."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
            self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        open_for_jobs = True
        while open_for_jobs:
            group, open_for_jobs = self._next_group()
            if group:
                self._settle(group)
                self._account(group)
                _answer(group)
        self._disconnect()

    def _next_group(self) -> tuple[list[Job], bool]:
        """Wait for a job and take all others that are there; False once the ledger is closed."""
        group: list[Job] = []
        awaited = False
        try:
            while len(group) < MAX_GROUP:
                job = self._jobs.get(block=not group) if awaited or not group else self._company(group[0])
                if job is None:
                    return group, False
                group.append(job)
                awaited = awaited or job.answer is not None
        except Empty:
            pass
        return group, True

    def _company(self, first: Job) -> Job | None:
        """The next job, while nobody waits for those that are there and the first of them is not due."""
        patience = first.due - time.monotonic()
        return self._jobs.get(timeout=patience) if patience > 0 else self._jobs.get_nowait()

    def _account(self, group: list[Job]) -> None:
        """Count the jobs that nobody waits for; a failure of theirs is known only here."""
        failed = [job.error for job in group if job.answer is None and job.error is not None]
        self._settled += sum(job.answer is None for job in group)
        if failed:
            _logger.error("%d records that nobody waited for were lost: %s", len(failed), failed[0])
        self._lost = bool(failed) or (self._lost and group[0].error is not None)

    def _settle(self, group: list[Job]) -> None:
        """Commit the group, or fail all of it with nothing written and nothing remembered."""
        try:
            self._end = self._commit(group)
        except BaseException as error:  # noqa: BLE001  the thread must outlive whatever happens to one group
            self._disconnect()
            _logger.warning("A group of %d ledger jobs failed: %s", len(group), error)
            for job in group:
                job.error = _failure(error)

    def _commit(self, group: list[Job]) -> LogEnd:
        self._database.check_in_place()
        if self._connection is None:
            self._connection = self._database.connect_writing()
        connection = self._connection
        with self._database.writing(connection):
            clock_ms, last_entry, root = execute(connection, self._present_state).fetchone()
            log_end = self._end
            if root != log_end.root:  # another process appended, or somebody tampered
                refuse_other_history(connection, log_end)
                log_end = read_end(connection, self._seal)
            refuse_unsigned(last_entry, log_end)
            if self._clock is not None:
                clock_ms = self._clock()
            now_ms = max(clock_ms, log_end.at_ms)
            tail = Tail(connection, log_end.frontier.size, now_ms)
            transaction = Transaction(connection, tail, now_ms, now_ms - clock_ms)
            for job in group:
                _perform(job, transaction, tail, by_itself=len(group) == 1)
            if group[0].error is not None and len(group) == 1:
                end(connection, "rollback")
                return self._end
            tail.flush()
            if tail.leaves:
                log_end = seal_leaves(connection, log_end, tail.leaves, now_ms, self._seal)
        return log_end

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(SQLAlchemyError):
                connection.close()


def _perform(job: Job, transaction: Transaction, tail: Tail, *, by_itself: bool) -> None:
    """Run one job; whatever it raises becomes its answer, unless the database itself failed."""
    if not job.may_fail:
        job.value = job.work(transaction)
        return
    # `connection` inserts the entries of earlier jobs first: this savepoint must not take them along.
    # A job that has the transaction to itself needs none: to undo it is to undo the transaction.
    connection = None if by_itself else transaction.connection
    before = len(tail.leaves)
    try:
        if connection is not None:
            execute(connection, "SAVEPOINT job")
        job.value = job.work(transaction)
    except BaseException as error:
        if isinstance(error, DBAPIError) and is_unavailable(error):
            raise
        job.error = _answerable(error)
        tail.rewind(before)
        if connection is not None:
            execute(connection, "ROLLBACK TO SAVEPOINT job")
    if connection is not None:
        execute(connection, "RELEASE SAVEPOINT job")


def _answerable(error: BaseException) -> BaseException:
    """An exception that a future can carry; asyncio's refuse StopIteration, and would then answer nobody."""
    if not isinstance(error, StopIteration):
        return error
    answer = RuntimeError("The work raised StopIteration.")
    answer.__cause__ = error
    return answer


def _failure(error: BaseException) -> LedgerError:
    """One exception for each caller, because tracebacks grow on them."""
    return type(error)(*error.args) if isinstance(error, LedgerError) else unavailable(error)


def _answer(group: list[Job]) -> None:
    by_loop: dict[asyncio.AbstractEventLoop, list[Job]] = {}
    for job in group:
        if isinstance(job.answer, asyncio.Future):
            by_loop.setdefault(job.answer.get_loop(), []).append(job)
        elif job.answer is not None:
            _resolve([job])
    for loop, jobs in by_loop.items():
        with suppress(RuntimeError):  # the loop was closed: nobody waits any more, and the record stands
            loop.call_soon_threadsafe(_resolve, jobs)


def _resolve(jobs: list[Job]) -> None:
    for job in jobs:
        if job.answer is None or job.answer.done():  # the caller was cancelled; its job was not
            continue
        if job.error is None:
            job.answer.set_result(job.value)
        else:
            job.answer.set_exception(job.error)
