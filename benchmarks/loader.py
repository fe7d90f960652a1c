"""The load: a process of its own that sends prepared requests over keep-alive connections and times each one.

It shares nothing with what it measures. One connection for each client, one request in flight on each; the
next one is sent as soon as the answer is whole. It reads jobs from its standard input, one JSON object in
each line, and writes one line for each; at the end of its input it ends.
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import perf_counter_ns
from typing import Any

PATIENCE_S = 30
"""How long nothing at all may come, in seconds."""

JOB_LIMIT_S = 120
"""The longest that one job may take, in seconds; then it has failed."""


class LoadFailed(Exception):
    """A job could not be carried out. The message is one sentence."""


@dataclass(slots=True, eq=False)
class _Client:
    connection: socket.socket
    requests: Sequence[bytes]
    next: int = 0
    sent_ns: int = 0
    received: bytearray = field(default_factory=bytearray)
    timings_ms: list[float] = field(default_factory=list[float])
    bodies: list[str] = field(default_factory=list[str])

    def send(self) -> None:
        request = self.requests[self.next]
        self.sent_ns = perf_counter_ns()
        self.connection.sendall(request)
        self.next += 1

    def receive(self) -> bool:
        """Take what has come; True when the answer is whole."""
        chunk = self.connection.recv(65_536)
        if not chunk:
            raise LoadFailed("the server closed a connection that was to be kept alive")
        self.received += chunk
        whole = answer_body(self.received)
        if whole is None:
            return False
        self.timings_ms.append((perf_counter_ns() - self.sent_ns) / 1e6)
        self.bodies.append(whole.decode())
        self.received.clear()
        return True


def answer_body(received: bytes | bytearray) -> bytes | None:
    """The body of an HTTP answer, or None until it is there as a whole.

    Raises LoadFailed for a status other than 200, and for a body without a stated length.
    """
    head, end, rest = bytes(received).partition(b"\r\n\r\n")
    if not end:
        return None
    status, *lines = head.split(b"\r\n")
    length = next((line[15:] for line in lines if line[:15].lower() == b"content-length:"), None)
    if status.split(b" ")[1] != b"200" or length is None:
        raise LoadFailed(f"an answer came with `{status.decode()}`: {rest[:300].decode(errors='replace')}")
    return rest if len(rest) >= int(length) else None


def carry_out(port: int, clients: Sequence[Sequence[bytes]]) -> list[tuple[list[float], list[str]]]:
    """Send every client's requests, all clients at once, to a server on the loopback interface.

    For each client: the milliseconds from sending a request to its whole answer, and the bodies.
    """
    deadline_ns = perf_counter_ns() + JOB_LIMIT_S * 10**9
    at_work: list[_Client] = []
    with selectors.DefaultSelector() as selector:
        try:
            for requests in clients:
                client = _Client(socket.create_connection(("127.0.0.1", port), timeout=10), requests)
                client.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                selector.register(client.connection, selectors.EVENT_READ, client)
                at_work.append(client)
            unfinished = sum(1 for client in at_work if client.requests)
            for client in at_work:
                if client.requests:
                    client.send()
            while unfinished:
                ready = selector.select(timeout=PATIENCE_S)
                if not ready or perf_counter_ns() > deadline_ns:
                    raise LoadFailed("the server did not answer in time")
                for key, _ in ready:
                    client: _Client = key.data
                    if client.receive():
                        if client.next < len(client.requests):
                            client.send()
                        else:
                            unfinished -= 1
                            # The others may take longer than a server keeps an idle connection.
                            selector.unregister(client.connection)
        finally:
            for client in at_work:
                client.connection.close()
    return [(client.timings_ms, client.bodies) for client in at_work]


def _answer_job(line: str) -> dict[str, Any]:
    job = json.loads(line)
    clients = [[request.encode("latin-1") for request in requests] for requests in job["clients"]]
    try:
        answered = carry_out(job["port"], clients)
    except (LoadFailed, OSError) as error:
        return {"failed": str(error)}
    return {"clients": [{"timings_ms": timings, "bodies": bodies} for timings, bodies in answered]}


if __name__ == "__main__":
    for job_line in sys.stdin:
        print(json.dumps(_answer_job(job_line)), flush=True)
