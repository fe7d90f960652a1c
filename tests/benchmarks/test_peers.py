"""The loader and the two peers, over real sockets and pipes with a handful of calls."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from benchmarks.calls import Call, WrongAnswer, check_answer
from benchmarks.loader import LoadFailed, answer_body
from benchmarks.peers import NAMES
from benchmarks.processes import Loader, NotStarted, free_port, loader, server
from benchmarks.upstream import READ, WRITE


@dataclass(frozen=True, slots=True)
class Peer:
    port: int
    journal: Path


@pytest.fixture(scope="module")
def load() -> Iterator[Loader]:
    with loader() as load:
        yield load


@pytest.fixture(scope="module", params=NAMES)
def peer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    folder, port = tmp_path_factory.mktemp("peer"), free_port()
    journal = folder / "journal"
    command = [sys.executable, "-m", "benchmarks.peers", request.param]
    with server([*command, "--port", str(port), "--journal", str(journal)], port, folder / "log"):
        yield Peer(port, journal)


def read(item: str) -> Call:
    return Call(READ, {"item": item}, {"structuredContent.item": item, "isError": False})


def write(item: str, amount: int) -> Call:
    return Call(WRITE, {"item": item, "amount": amount}, {"structuredContent.amount": amount})


def test_each_call_of_each_client_is_timed_and_answered_in_its_place(load: Loader, peer: Peer) -> None:
    clients = [[read(f"{client}-{number}") for number in range(3)] for client in range(8)]
    answered = load.send(peer.port, clients)
    assert [result["structuredContent"]["item"] for result in answered.results] == [
        f"{client}-{number}" for client in range(8) for number in range(3)
    ]
    assert len(answered.timings_ms) == 24
    assert min(answered.timings_ms) > 0


def test_a_write_has_its_effect_once_and_the_journal_shows_it(load: Loader, peer: Peer) -> None:
    load.send(peer.port, [[write("first", 3), read("second"), write("third", 4)]])
    assert peer.journal.read_text().splitlines() == ["first", "third"]


def test_a_wrong_answer_is_not_measured(load: Loader, peer: Peer) -> None:
    with pytest.raises(WrongAnswer, match=r"structuredContent\.item is 'a' and not 'b'"):
        load.send(peer.port, [[replace(read("b"), arguments={"item": "a"})]])


def test_a_path_that_is_not_served_fails_the_load_and_not_the_loader(load: Loader, peer: Peer) -> None:
    with pytest.raises(LoadFailed, match="404"):
        load.send(peer.port, [[replace(read("a"), path="/nothing")]])
    assert len(load.send(peer.port, [[read("a")]]).results) == 1


def test_a_server_that_does_not_start_is_told_with_what_it_printed(tmp_path: Path) -> None:
    dying = [sys.executable, "-c", "import sys; sys.exit('no such thing')"]
    with pytest.raises(NotStarted, match="no such thing"), server(dying, free_port(), tmp_path / "log"):
        pass


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ('{"error":{"code":-32602}}', "no result"),
        ("<html>", "no result"),
        ('{"result":{"structuredContent":{"item":"a"},"isError":true}}', "isError"),
        ('{"result":{"structuredContent":{"item":"a"},"isError":0}}', "isError"),
        ('{"result":{"structuredContent":[],"isError":false}}', "structuredContent.item"),
    ],
)
def test_an_answer_must_hold_exactly_what_the_call_expects(body: str, why: str) -> None:
    with pytest.raises(WrongAnswer, match=why):
        check_answer(read("a"), body)


@pytest.mark.parametrize(
    "received", [b"", b"HTTP/1.1 200 OK\r\ncontent-", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n1234"]
)
def test_an_answer_that_is_not_whole_is_waited_for(received: bytes) -> None:
    assert answer_body(received) is None


def test_a_whole_answer_gives_its_body() -> None:
    assert answer_body(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx: y\r\n\r\n{}") == b"{}"


@pytest.mark.parametrize(
    "received", [b"HTTP/1.1 401 Unauthorized\r\n\r\n", b"HTTP/1.1 200 OK\r\nx: y\r\n\r\n"]
)
def test_an_answer_without_success_or_length_fails_the_load(received: bytes) -> None:
    with pytest.raises(LoadFailed):
        answer_body(received)
