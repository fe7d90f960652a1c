"""A ledger for each test, in its own folder; on PostgreSQL too where one is named."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url

from ledger.ids import random_token
from ledger.keyring import KeyRing
from ledger.ledger import Ledger
from ledger.transaction import Transaction

ORIGIN = "bailiwick.test/ledger"


@pytest.fixture
def keys(tmp_path: Path) -> KeyRing:
    return KeyRing.create(tmp_path / "keys")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The file of the SQLite ledger."""
    return tmp_path / "ledger.db"


@pytest.fixture
def ledger(path: Path, keys: KeyRing) -> Iterator[Ledger]:
    """An empty ledger on SQLite."""
    with Ledger.open(f"sqlite:///{path}", keys, origin=ORIGIN) as opened:
        yield opened


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, path: Path) -> Iterator[str]:
    """The URL of an empty database, on each engine."""
    if request.param == "sqlite":
        yield f"sqlite:///{path}"
        return
    server: str = request.getfixturevalue("postgres_url")
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    name = random_token("test")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
        yield make_url(server).set(database=name).render_as_string(hide_password=False)
        connection.exec_driver_sql(f"DROP DATABASE {name}")
    engine.dispose()


@pytest.fixture
def hold() -> Callable[[Ledger], threading.Event]:
    """Keep a ledger's writer busy until the returned event is set: jobs gather behind it in one group."""

    def hold_writer(ledger: Ledger) -> threading.Event:
        holding, released = threading.Event(), threading.Event()

        def work(_: Transaction) -> None:
            holding.set()
            assert released.wait(30)

        threading.Thread(target=ledger.transact_now, args=(work,)).start()
        assert holding.wait(30)
        return released

    return hold_writer
