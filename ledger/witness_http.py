"""A witness behind HTTP, as c2sp.org/tlog-witness has it: POST PREFIX/add-checkpoint."""

import http.client
from urllib.parse import quote, urlsplit

from ledger.errors import LedgerError
from ledger.heads import parse_head, signed_text
from ledger.witness import Reply, Submission, no_answer

TIMEOUT_S = 5.0
"""How long a witness may take to answer, in seconds."""

_MOST = 65_536


class HttpWitness:
    """One witness, over one connection that is kept alive. Not for several threads at once."""

    def __init__(self, url: str) -> None:
        """`url` is the submission prefix, `http://…` or `https://…`."""
        place = urlsplit(url)
        if place.scheme not in ("http", "https") or not place.hostname or place.query or place.fragment:
            raise LedgerError(
                f"{url[:80]!r} is no witness; write http://HOST:PORT/PREFIX or the path of a file."
            )
        self._url = url.rstrip("/")
        self._prefix = place.path.rstrip("/")
        # Not urllib: a proxy named in the environment must never stand in between.
        kind = http.client.HTTPSConnection if place.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(place.hostname, place.port, timeout=TIMEOUT_S)

    def submit(self, submission: Submission) -> Reply:
        """Submit a head; once more on a new connection, if the one that was kept alive has ended."""
        kept_alive = self._connection.sock is not None
        try:
            return self._ask("POST", "/add-checkpoint", submission.to_text().encode())
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            if not kept_alive:
                raise no_answer(self._url, type(error).__name__) from error
        try:
            return self._ask("POST", "/add-checkpoint", submission.to_text().encode())
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise no_answer(self._url, type(error).__name__) from error

    def newest(self, origin: str) -> tuple[str, str]:
        """The newest head of a log that the witness keeps (a note), and its cosignature lines.

        This is our own witness's way of telling; the protocol leaves it open.
        """
        try:
            reply = self._ask("GET", f"/checkpoint?origin={quote(origin, safe='')}", None)
        except (OSError, http.client.HTTPException) as error:
            raise no_answer(self._url, type(error).__name__) from error
        finally:
            self._connection.close()
        if reply.status != 200:
            raise no_answer(self._url, f"it answers {reply.status} about {origin}")
        head = parse_head(reply.body)
        text, lines = signed_text(head.note), head.note
        return head.note, lines.removeprefix(text + "\n")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _ask(self, method: str, path: str, body: bytes | None) -> Reply:
        self._connection.request(method, self._prefix + path, body, {"content-type": "text/plain"})
        answer = self._connection.getresponse()
        return Reply(answer.status, answer.read(_MOST).decode("utf-8", errors="replace"))
