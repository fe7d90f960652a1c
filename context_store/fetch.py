"""Fetching a document from an HTTP or HTTPS address, for whoever imports it.

Only public addresses are asked unless private ones are allowed by a setting: a link that somebody was handed
must not reach what only this machine can reach. The name is resolved once, every address that it has must be
allowed, and the connection goes to the very address that was looked at. Redirects are few, never from HTTPS
down to HTTP, and each is judged like the first. Nothing of this person is sent: no cookies, no credentials,
and no proxy of the environment is used.
"""

import codecs
import http.client
import ipaddress
import socket
import ssl
import time
from contextlib import closing
from dataclasses import dataclass
from email.message import Message
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit, urlunsplit

from context_store.errors import ImportRefused
from context_store.extract import MAX_DOCUMENT_BYTES, SUFFIXES

MAX_REDIRECTS: Final = 5
TOTAL_S: Final = 60.0
"""How long one fetch may take with all its redirects, in seconds."""
_STEP_S: Final = 15.0
_CHUNK: Final = 65_536
_MOVED: Final = (301, 302, 303, 307, 308)
_SUFFIX_OF: Final = {
    "text/html": ".html",
    "application/xhtml+xml": ".html",
    "text/markdown": ".md",
    "text/plain": ".txt",
    "text/csv": ".csv",
    "text/tab-separated-values": ".tsv",
    "application/json": ".json",
    "application/pdf": ".pdf",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
}
_UTF8: Final = ("utf-8", "ascii")


@dataclass(frozen=True, slots=True)
class Fetched:
    """A document as it was served: a file's name for it, the address that was asked, and its bytes.

    Text in another encoding than UTF-8 that the server declares has been converted.
    """

    name: str
    origin: str
    raw: bytes


def is_address(text: str) -> bool:
    """Whether `text` looks like an address to fetch rather than a path."""
    return text.lower().startswith(("http://", "https://"))


def fetch(address: str, *, allow_private: bool = False) -> Fetched:
    """Fetch a document. Raises `ImportRefused` with one sentence that says what is in the way."""
    asked = _parsed(address)
    place, deadline = asked, time.monotonic() + TOTAL_S
    for _ in range(MAX_REDIRECTS + 1):
        answer = _ask(place, deadline, allow_private=allow_private)
        if answer.moved_to is None:
            origin = urlunsplit(asked)
            return _as_document(origin, asked, answer)
        there = _parsed(urljoin(urlunsplit(place), answer.moved_to))
        if (place.scheme, there.scheme) == ("https", "http"):
            raise ImportRefused(f"{address} leads from HTTPS to plain HTTP; name the address it leads to.")
        place = there
    raise ImportRefused(f"{address} leads on more than {MAX_REDIRECTS} times; name the address it leads to.")


@dataclass(frozen=True, slots=True)
class _Answer:
    moved_to: str | None
    headers: Message
    raw: bytes


def _parsed(address: str) -> SplitResult:
    try:
        place = urlsplit(address)
        port = place.port
    except ValueError:
        raise ImportRefused(f"{address[:200]} is no address that can be fetched; check it.") from None
    if place.scheme not in ("http", "https") or not place.hostname or port == 0 or not address.isprintable():
        raise ImportRefused(
            f"{address[:200]} is no address that can be fetched; give one with http:// or https://."
        )
    if place.username is not None or place.password is not None:
        raise ImportRefused(
            "An address must not hold a name and password; they would be kept with the source. Save the"
            " document, and add the file."
        )
    path = quote(place.path or "/", safe="/%:@!$&'()*+,;=~-._")
    query = quote(place.query, safe="/%:@!$&'()*+,;=~-._?")
    return place._replace(path=path, query=query, fragment="")


def _ask(place: SplitResult, deadline: float, *, allow_private: bool) -> _Answer:
    host = place.hostname or ""
    at = _vetted(host, place.port or (443 if place.scheme == "https" else 80), allow_private=allow_private)
    try:
        connection = _Connection(place, at, deadline)
        try:
            connection.request(
                "GET",
                f"{place.path}?{place.query}" if place.query else place.path,
                headers={"User-Agent": "bailiwick", "Accept-Encoding": "identity", "Accept": "*/*"},
            )
            with closing(connection.getresponse()) as response:
                if response.status in _MOVED and (there := response.headers.get("Location")):
                    return _Answer(there, response.headers, b"")
                if response.status != 200:
                    raise ImportRefused(
                        f"{urlunsplit(place)} answers {response.status} {response.reason}; check the address."
                    )
                return _Answer(None, response.headers, _body(response, place, deadline))
        finally:
            connection.close()
    except ssl.SSLError as error:
        raise ImportRefused(
            f"{host} cannot be trusted ({error.reason or 'its certificate'}); check the address."
        ) from None
    except (OSError, http.client.HTTPException) as error:
        why = "it takes too long" if isinstance(error, TimeoutError) else type(error).__name__
        raise ImportRefused(f"{urlunsplit(place)} cannot be fetched ({why}); try again later.") from None


def _vetted(host: str, port: int, *, allow_private: bool) -> tuple[str, int]:
    """The first address of a host, if none of its addresses is one that must not be asked."""
    try:
        found = [info[4][0] for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError):
        raise ImportRefused(f"There is no host {host[:200]}, or its name cannot be looked up now.") from None
    for address in found:
        if not allow_private and not _is_public(str(address)):
            raise ImportRefused(
                f"{host} is not on the public internet ({address}); save the document and add the file,"
                " or set fetch_private if you trust what answers there."
            )
    return str(found[0]), port


def _is_public(address: str) -> bool:
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is not None:
            return _is_public(str(inner))
    return ip.is_global and not ip.is_multicast


class _Connection(http.client.HTTPConnection):
    """A connection to an address that was looked at, under the name that was asked for."""

    def __init__(self, place: SplitResult, at: tuple[str, int], deadline: float) -> None:
        super().__init__(place.hostname or "", at[1], timeout=min(_STEP_S, _left(deadline)))
        self.default_port = 443 if place.scheme == "https" else 80
        self._at = at
        self._tls = ssl.create_default_context() if place.scheme == "https" else None

    def connect(self) -> None:
        """Connect to the address and, for HTTPS, check the certificate for the name."""
        self.sock = socket.create_connection(self._at, self.timeout)
        if self._tls is not None:
            self.sock = self._tls.wrap_socket(self.sock, server_hostname=self.host)


def _body(response: http.client.HTTPResponse, place: SplitResult, deadline: float) -> bytes:
    if (response.headers.get("Content-Encoding") or "identity").lower() != "identity":
        raise ImportRefused(
            f"{urlunsplit(place)} answers with a compressed text that nobody asked for; save the document and"
            " add the file."
        )
    received = bytearray()
    while chunk := response.read1(_CHUNK):
        received += chunk
        if len(received) > MAX_DOCUMENT_BYTES:
            raise ImportRefused(
                f"{urlunsplit(place)} is larger than {MAX_DOCUMENT_BYTES // 1024 // 1024} MiB; divide it, and"
                " add the parts."
            )
        _left(deadline)
    length = response.headers.get("Content-Length")
    if length is not None and length.isdecimal() and len(received) < int(length):
        raise ConnectionResetError
    return bytes(received)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _as_document(origin: str, asked: SplitResult, answer: _Answer) -> Fetched:
    media = answer.headers.get_content_type()
    suffix = _SUFFIX_OF.get(media)
    last = PurePosixPath(unquote(asked.path)).name or (asked.hostname or "document")
    own = PurePosixPath(last).suffix.lower()
    if own in SUFFIXES and (suffix is None or media == "text/plain"):
        suffix = own
    if suffix is None:
        raise ImportRefused(f"{origin} is {media}, which is not read here; save it in another format.")
    stem = PurePosixPath(last).stem if own in SUFFIXES else last
    declared = answer.headers.get_content_charset()
    raw = _in_utf8(answer.raw, declared, origin) if media.startswith("text/") and declared else answer.raw
    name = "".join(letter for letter in stem if letter.isprintable() and letter not in "/\\")[:200]
    return Fetched(f"{name or 'document'}{suffix}", origin, raw)


def _in_utf8(raw: bytes, declared: str, origin: str) -> bytes:
    try:
        encoding = codecs.lookup(declared).name
        return raw if encoding in _UTF8 else raw.decode(encoding).encode()
    except (LookupError, UnicodeError):
        raise ImportRefused(
            f"{origin} says that it is {declared[:40]} and is not; save it as UTF-8, and add the file."
        ) from None
