"""What the ledger promises to those who use it, on every engine."""

import asyncio
import itertools
import threading
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, Text, func, select
from sqlalchemy.exc import DBAPIError, IntegrityError

from ledger.entries import Entry, RestsOn
from ledger.errors import LedgerError, LedgerUnavailable
from ledger.heads import verify_head
from ledger.keyring import KeyRing
from ledger.ledger import Ledger
from ledger.tables import heads, log, rests_on
from ledger.transaction import Reading, Transaction

pytestmark = pytest.mark.anyio

ORIGIN = "bailiwick.test/ledger"

# A table of a higher floor; made by hand, so that it does not stay on the shared metadata.
coins = Table("coins", MetaData(), Column("name", Text, primary_key=True), Column("spent_at", Integer))


Hold = Callable[[Ledger], threading.Event]


class SettableClock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.ms = 1_000_000

    def __call__(self) -> int:
        return self.ms


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


@pytest.fixture
def ledger(url: str, keys: KeyRing, clock: SettableClock) -> Iterator[Ledger]:
    with Ledger.open(url, keys, origin=ORIGIN, clock=clock) as opened:
        opened.transact_now(lambda tx: coins.create(tx.connection))
        yield opened


def entry(number: int = 0, run: str | None = None) -> Entry:
    return Entry("call.answered", "acme", {"number": number}, run=run)


def numbers(ledger: Ledger) -> list[object]:
    return [stored.body["number"] for stored in ledger.entries()]


def mint(tx: Transaction, name: str) -> None:
    tx.execute(coins.insert(), {"name": name})


def names(reading: Reading) -> list[str]:
    return [row.name for row in reading.all(coins.select().order_by(coins.c.name))]


async def test_entries_are_numbered_from_one_without_gaps(ledger: Ledger) -> None:
    assert await ledger.append(entry(1)) == 1
    assert await ledger.append(entry(2), entry(3)) == 3
    assert [(stored.seq, stored.body) for stored in ledger.entries()] == [
        (1, {"number": 1}),
        (2, {"number": 2}),
        (3, {"number": 3}),
    ]


async def test_many_at_once_keep_their_order_and_share_heads(ledger: Ledger) -> None:
    seqs = await asyncio.gather(*(ledger.append(entry(number)) for number in range(300)))
    assert seqs == list(range(1, 301))
    assert numbers(ledger) == list(range(300))
    assert (
        ledger.read(lambda reading: reading.execute(select(func.count()).select_from(heads)).scalar_one())
        < 300
    )
    assert ledger.verify().whole


async def test_state_and_log_change_together(ledger: Ledger) -> None:
    def work(tx: Transaction) -> int:
        mint(tx, "penny")
        return tx.append(entry(1))

    assert await ledger.transact(work) == 1
    assert ledger.read(names) == ["penny"]


async def test_work_that_raises_undoes_only_itself(ledger: Ledger, hold: Hold) -> None:
    def bad(tx: Transaction) -> None:
        tx.append(entry(99))
        mint(tx, "forged")
        tx.append(entry(98))
        raise KeyError("forged")

    def good(tx: Transaction, name: str, number: int) -> int:
        mint(tx, name)
        return tx.append(entry(number))

    released = hold(ledger)
    group = asyncio.gather(
        ledger.append(entry(1)),
        ledger.transact(lambda tx: good(tx, "a", 2)),
        ledger.transact(bad),
        ledger.append(entry(3)),
        ledger.transact(bad),
        ledger.transact(lambda tx: good(tx, "b", 4)),
        return_exceptions=True,
    )
    await asyncio.sleep(0)  # all are queued now, and become one group
    released.set()
    results = await group
    assert [result for result in results if not isinstance(result, KeyError)] == [1, 2, 3, 4]
    assert numbers(ledger) == [1, 2, 3, 4]
    assert ledger.read(names) == ["a", "b"]
    assert ledger.read(lambda reading: [row.size for row in reading.all(heads.select())]) == [4]
    assert ledger.verify().whole


@pytest.mark.parametrize("error", [KeyError("key"), asyncio.CancelledError(), SystemExit(1)])
async def test_a_lone_work_that_raises_leaves_nothing_and_the_writer_alive(
    ledger: Ledger, error: BaseException
) -> None:
    def bad(tx: Transaction) -> None:
        mint(tx, "forged")
        tx.append(entry(99))
        raise error

    answer: list[BaseException] = []

    def ask() -> None:
        try:
            ledger.transact_now(bad)
        except BaseException as raised:  # noqa: BLE001  also exits
            answer.append(raised)

    asking = threading.Thread(target=ask)
    asking.start()
    asking.join()
    assert type(answer[0]) in (type(error), type(error).__mro__[1])
    assert ledger.append_now(entry(1)) == 1
    assert ledger.read(names) == []


async def test_work_that_raises_stop_iteration_leaves_nobody_waiting(ledger: Ledger) -> None:
    nothing: list[int] = []
    results = await asyncio.gather(
        ledger.transact(lambda _: next(iter(nothing))), ledger.append(entry(1)), return_exceptions=True
    )
    assert isinstance(results[0], RuntimeError)
    assert results[1] == 1


async def test_a_broken_constraint_is_the_callers_own_affair(ledger: Ledger) -> None:
    await ledger.transact(lambda tx: mint(tx, "penny"))
    results = await asyncio.gather(
        ledger.append(entry(1)),
        ledger.transact(lambda tx: mint(tx, "penny")),
        ledger.append(entry(2)),
        return_exceptions=True,
    )
    assert isinstance(results[1], IntegrityError)
    assert numbers(ledger) == [1, 2]


async def test_one_coin_is_spent_once_however_many_ask(ledger: Ledger) -> None:
    await ledger.transact(lambda tx: mint(tx, "penny"))
    spend = coins.update().where(coins.c.spent_at.is_(None)).values(spent_at=1).returning(coins.c.name)
    won = await asyncio.gather(*(ledger.transact(lambda tx: tx.one(spend)) for _ in range(100)))
    assert len([row for row in won if row is not None]) == 1


async def test_work_sees_the_entries_it_appended(ledger: Ledger) -> None:
    def work(tx: Transaction) -> list[int]:
        tx.append(entry(1, run="run_a"))
        tx.append(entry(2, run="run_b"))
        return [row.seq for row in tx.all(select(log.c.seq).where(log.c.run == "run_b"))]

    assert await ledger.transact(work) == [2]


async def test_a_reading_sees_what_was_just_committed_and_cannot_write(ledger: Ledger) -> None:
    for number in range(5):
        await ledger.append(entry(number))
        assert ledger.read(lambda reading: reading.one(select(func.count()).select_from(log))) == (
            number + 1,
        )
    with pytest.raises((DBAPIError, LedgerUnavailable)):
        ledger.read(lambda reading: reading.execute(coins.insert(), {"name": "forged"}))
    assert ledger.read(names) == []


async def test_a_reading_is_one_snapshot_while_others_write(ledger: Ledger) -> None:
    count = select(func.count()).select_from(log)

    def work(reading: Reading) -> tuple[int, int]:
        before = reading.execute(count).scalar_one()
        writing = threading.Thread(target=ledger.append_now, args=(entry(1),))
        writing.start()
        writing.join()
        return before, reading.execute(count).scalar_one()

    assert ledger.read(work) == (0, 0)
    assert ledger.read(lambda outer: ledger.read(lambda inner: inner.execute(count).scalar_one())) == 1


async def test_a_reading_that_raises_gives_its_connection_back(ledger: Ledger) -> None:
    def work(_: Reading) -> None:
        raise KeyError("key")

    for _ in range(3):
        with pytest.raises(KeyError):
            ledger.read(work)
    assert ledger.read(names) == []


async def test_case_26_time_never_runs_behind_the_last_signed_head(
    ledger: Ledger, clock: SettableClock
) -> None:
    await ledger.append(entry(1))
    clock.ms -= 60_000
    assert await ledger.transact(lambda tx: (tx.now_ms, tx.clock_behind_ms)) == (1_000_000, 60_000)
    await ledger.append(entry(2))
    clock.ms += 60_500
    assert await ledger.transact(lambda tx: (tx.now_ms, tx.clock_behind_ms)) == (1_000_500, 0)
    assert [stored.at_ms for stored in ledger.entries()] == [1_000_000, 1_000_000]


def test_time_is_the_databases_clock_where_none_is_given(url: str, keys: KeyRing) -> None:
    with Ledger.open(url, keys, origin=ORIGIN) as ledger:
        first = ledger.transact_now(lambda tx: tx.now_ms)
        second = ledger.transact_now(lambda tx: tx.now_ms)
    assert 1_700_000_000_000 < first <= second < 32_503_680_000_000


async def test_entries_are_listed_by_run_by_kind_and_page_by_page(ledger: Ledger) -> None:
    runs = itertools.cycle(["run_a", "run_b"])
    await ledger.append(*(entry(number, run=next(runs)) for number in range(1200)))
    await ledger.append(Entry("run.closed", "acme", {"number": 1200}, run="run_a"))
    assert len(list(ledger.entries())) == 1201
    assert [stored.seq for stored in ledger.entries(after=1198)] == [1199, 1200, 1201]
    assert len(list(ledger.entries(run="run_b"))) == 600
    assert [stored.seq for stored in ledger.entries(run="run_a", kinds=["run.closed", "run.opened"])] == [
        1201
    ]


async def test_an_edge_is_kept_once_with_the_entry_that_first_declared_it(ledger: Ledger) -> None:
    edge = RestsOn("bnd_1", "quotes", "policy-14@3:120-188")
    both = (edge, RestsOn("bnd_1", "quotes", "policy-14@3:0-10"))
    await ledger.append(Entry("bundle.served", "acme", {}, rests_on=(edge,)))
    await ledger.append(Entry("bundle.served", "acme", {}, rests_on=both))
    rows = ledger.read(lambda reading: reading.all(rests_on.select().order_by(rests_on.c.seq)))
    assert [(row.seq, row.foundation) for row in rows] == [(1, edge.foundation), (2, both[1].foundation)]
    assert ledger.verify().whole


async def test_every_group_ends_with_a_signed_head(ledger: Ledger, keys: KeyRing) -> None:
    assert ledger.head() is None
    await ledger.append(entry(1), entry(2))
    head = ledger.head()
    assert head is not None
    assert verify_head(head.note, ORIGIN, keys.public_keys("head")) == head
    assert (head.origin, head.size) == (ledger.origin, 2)


async def test_work_that_logs_nothing_signs_nothing(ledger: Ledger) -> None:
    await ledger.transact(lambda tx: mint(tx, "penny"))
    assert ledger.head() is None
    assert ledger.read(names) == ["penny"]


@pytest.mark.parametrize("table", [log, heads, rests_on])
@pytest.mark.parametrize("verb", ["update", "delete"])
async def test_the_database_itself_refuses_to_change_the_log(ledger: Ledger, table: Table, verb: str) -> None:
    await ledger.append(Entry("bundle.served", "acme", {}, rests_on=(RestsOn("a", "quotes", "b"),)))
    change = table.delete() if verb == "delete" else table.update().values({table.primary_key.columns[0]: 7})
    with pytest.raises(DBAPIError, match="append-only"):
        await ledger.transact(lambda tx: tx.execute(change))
    assert ledger.verify().whole


@pytest.mark.parametrize(
    "wrong",
    [
        {"seq": 0},
        {"at_ms": -1},
        {"kind": "x"},
        {"tenant": ""},
        {"leaf": b"short"},
        {"entry": b""},
        {"entry": None},
    ],
)
async def test_the_database_itself_refuses_impossible_entries(
    ledger: Ledger, wrong: dict[str, object]
) -> None:
    row = {"seq": 1, "at_ms": 0, "kind": "a.b", "tenant": "t", "leaf": b"x" * 32, "entry": b"{}", **wrong}
    with pytest.raises(IntegrityError):
        await ledger.transact(lambda tx: tx.execute(log.insert(), row))


async def test_a_cancelled_caller_does_not_disturb_the_others(ledger: Ledger, hold: Hold) -> None:
    released = hold(ledger)
    given_up = asyncio.ensure_future(ledger.append(entry(1)))
    patient = asyncio.ensure_future(ledger.append(entry(2)))
    await asyncio.sleep(0)
    given_up.cancel()
    released.set()
    assert await patient == 2
    assert numbers(ledger) == [1, 2]


def test_a_loop_that_ended_meanwhile_loses_nothing(ledger: Ledger, hold: Hold) -> None:
    released = hold(ledger)

    async def give_up() -> None:
        asking = asyncio.ensure_future(ledger.append(entry(1)))
        await asyncio.sleep(0)
        asking.cancel()

    asyncio.run(give_up())
    released.set()
    assert ledger.append_now(entry(2)) == 2


def test_work_cannot_wait_for_its_own_transaction(ledger: Ledger) -> None:
    with pytest.raises(RuntimeError, match="use the one it was given"):
        ledger.transact_now(lambda _: ledger.append_now(entry(1)))


def test_appending_nothing_is_refused(ledger: Ledger) -> None:
    with pytest.raises(ValueError, match="at least one"):
        ledger.append_now()


def test_a_closed_ledger_says_so_and_kept_everything(url: str, keys: KeyRing) -> None:
    ledger = Ledger.open(url, keys, origin=ORIGIN)
    ledger.append_now(entry(1))
    ledger.close()
    ledger.close()
    with pytest.raises(LedgerUnavailable, match="closed"):
        ledger.append_now(entry(2))
    with pytest.raises(LedgerUnavailable, match="closed"):
        ledger.head()
    with Ledger.open(url, keys, origin=ORIGIN) as again:
        assert numbers(again) == [1]
        assert again.append_now(entry(2)) == 2
        assert again.verify().whole


def test_closing_while_a_reading_goes_on_leaves_no_connection_open(ledger: Ledger) -> None:
    assert ledger.read(lambda reading: (ledger.close(), names(reading))) == (None, [])
    with pytest.raises(LedgerUnavailable, match="closed"):
        ledger.read(names)


def test_two_processes_append_to_one_log(url: str, keys: KeyRing, ledger: Ledger) -> None:
    # Two ledgers over one database share nothing in memory, just as two processes do.
    with Ledger.open(url, keys, origin=ORIGIN) as other:
        for number in range(10):
            assert ledger.append_now(entry(number)) == 2 * number + 1
            assert other.append_now(entry(number)) == 2 * number + 2
        assert other.head() == ledger.head()
    assert ledger.verify().whole


@pytest.mark.parametrize("bad", ["", "nonsense", "sqlite://", "sqlite:///:memory:", "mysql://host/db"])
def test_a_database_that_cannot_keep_a_ledger_is_refused(bad: str, keys: KeyRing) -> None:
    with pytest.raises(LedgerError, match="use sqlite:///FILE"):
        Ledger.open(bad, keys, origin=ORIGIN)


def test_an_origin_that_cannot_stand_in_a_head_is_refused(url: str, keys: KeyRing) -> None:
    with pytest.raises(ValueError, match="cannot name a log"):
        Ledger.open(url, keys, origin="two words")
