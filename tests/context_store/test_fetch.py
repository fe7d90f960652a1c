"""Fetching from an address: what is taken, what is refused, and where nobody is asked at all."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from context_store import fetch as fetching
from context_store.errors import ImportRefused
from context_store.extract import MAX_DOCUMENT_BYTES
from context_store.fetch import MAX_REDIRECTS, fetch


@dataclass
class Site:
    """A web server on loopback: what it answers by path, and what it was asked."""

    url: str
    answers: dict[str, tuple[int, dict[str, str], bytes]] = field(
        default_factory=dict[str, tuple[int, dict[str, str], bytes]]
    )
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list[tuple[str, dict[str, str]]])

    def serve(self, path: str, raw: bytes = b"", status: int = 200, **headers: str) -> str:
        spelled = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answers[path] = (status, spelled, raw)
        return self.url + path


@pytest.fixture
def site() -> Iterator[Site]:
    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.asked.append((self.path, dict(self.headers.items())))
            status, headers, raw = made.answers.get(self.path, (404, {}, b"none"))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if "Content-Length" not in headers:
                self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = False  # they are waited for, or they would leave their connections open

        def handle_error(self, request: object, client_address: object) -> None:
            """A client that has heard enough hangs up."""

    server = Server(("127.0.0.1", 0), Answering)
    made = Site(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_document_is_fetched_with_its_kind_and_nothing_of_ours_is_sent(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    address = site.serve("/policies/returns?v=2", b"<p>Hello.</p>", Content_Type="text/html; charset=utf-8")
    got = fetch(f"{address}#part", allow_private=True)
    assert (got.name, got.origin, got.raw) == ("returns.html", address, b"<p>Hello.</p>")
    [(path, headers)] = site.asked
    assert path == "/policies/returns?v=2"
    assert headers.keys() <= {"Host", "User-Agent", "Accept", "Accept-Encoding"}


def test_a_name_with_a_known_ending_decides_where_the_server_only_says_text(site: Site) -> None:
    address = site.serve("/a.md", b"# A", Content_Type="text/plain")
    assert fetch(address, allow_private=True).name == "a.md"
    assert (
        fetch(site.serve("/b", b"{}", Content_Type="application/json"), allow_private=True).name == "b.json"
    )


def test_a_declared_encoding_is_converted_and_a_wrong_one_refused(site: Site) -> None:
    right = site.serve("/a.txt", "café".encode("latin-1"), Content_Type="text/plain; charset=latin-1")
    assert fetch(right, allow_private=True).raw == "café".encode()
    wrong = site.serve("/b.txt", b"caf", Content_Type="text/plain; charset=utf-16")
    with pytest.raises(ImportRefused, match="says that it is utf-16 and is not"):
        fetch(wrong, allow_private=True)


def test_redirects_are_followed_a_few_times_and_the_source_stays_the_address_that_was_named(
    site: Site,
) -> None:
    site.serve("/end.txt", b"Here.", Content_Type="text/plain")
    first = site.serve("/start", b"", 302, Location="/end.txt")
    got = fetch(first, allow_private=True)
    assert (got.origin, got.raw) == (first, b"Here.")
    loop = site.serve("/loop", b"", 301, Location="/loop")
    site.asked.clear()
    with pytest.raises(ImportRefused, match=f"leads on more than {MAX_REDIRECTS} times"):
        fetch(loop, allow_private=True)
    assert len(site.asked) == MAX_REDIRECTS + 1


def test_a_public_address_cannot_lead_to_a_private_one(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    real = fetching._vetted  # pyright: ignore[reportPrivateUsage]
    site.serve("/secret.txt", b"Not for you.", Content_Type="text/plain")
    first = site.serve("/start", b"", 302, Location="http://localhost/secret.txt")

    def only_the_first_is_public(host: str, port: int, *, allow_private: bool) -> tuple[str, int]:
        return (host, port) if host == "127.0.0.1" else real(host, port, allow_private=allow_private)

    monkeypatch.setattr(fetching, "_vetted", only_the_first_is_public)
    with pytest.raises(ImportRefused, match="localhost is not on the public internet"):
        fetch(first)
    assert [path for path, _ in site.asked] == ["/start"]


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "localhost", "[::1]", "10.0.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0"),
        *("2130706433", "[::ffff:127.0.0.1]", "[fe80::1]", "[fd00::1]", "100.64.0.1", "[2002:7f00:1::]"),
    ],
)
def test_what_is_not_on_the_public_internet_is_not_asked(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("a connection was made")

    monkeypatch.setattr(fetching, "_Connection", never)
    with pytest.raises(ImportRefused, match="is not on the public internet"):
        fetch(f"http://{host}/a.txt")


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("ftp://example.org/a", "no address that can be fetched"),
        ("http://", "no address that can be fetched"),
        ("http://example.org:99999/", "no address that can be fetched"),
        ("http://user:secret@example.org/a", "must not hold a name and password"),
        ("http://example.org/a\r\nHost: x", "no address that can be fetched"),
    ],
)
def test_what_is_no_address_is_refused(address: str, said: str) -> None:
    with pytest.raises(ImportRefused, match=said) as refused:
        fetch(address)
    assert "secret" not in str(refused.value)


def test_what_a_server_does_wrong_is_said(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(address: str) -> str:
        with pytest.raises(ImportRefused) as said:
            fetch(address, allow_private=True)
        return str(said.value)

    assert "answers 404" in refused(f"{site.url}/none")
    assert "is image/png, which is not read here" in refused(site.serve("/a", b"x", Content_Type="image/png"))
    zipped = site.serve("/z.txt", b"x", Content_Type="text/plain", Content_Encoding="gzip")
    assert "compressed text that nobody asked for" in refused(zipped)
    short = site.serve("/s.txt", b"half", Content_Type="text/plain", Content_Length="8")
    monkeypatch.setattr(fetching, "_STEP_S", 0.3)
    assert "cannot be fetched" in refused(short)
    large = site.serve("/l.pdf", b"x" * (MAX_DOCUMENT_BYTES + 1), Content_Type="application/pdf")
    assert "is larger than 20 MiB" in refused(large)
    monkeypatch.setattr(fetching, "TOTAL_S", 0.0)
    assert "takes too long" in refused(site.serve("/t.txt", b"x", Content_Type="text/plain"))
