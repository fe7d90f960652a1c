"""The loopback interface takes signed operations of this machine; everything else gets one sentence."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from contextlib import closing
from urllib.parse import urlsplit

import pytest

from ledger.canonical import JsonObject
from server.errors import Unavailable, failure_of
from server.personal_keys import personal_key, sign_now
from server.sending import MAX_BODY_BYTES, OperationFailed, send_operation
from server.settings import load_settings
from tests.server.office import Office

JSON = {"content-type": "application/json"}


def post(url: str, body: bytes, headers: dict[str, str], name: str = "run.list") -> tuple[int, JsonObject]:
    place = urlsplit(url)
    with closing(http.client.HTTPConnection(place.hostname or "", place.port, timeout=30)) as connection:
        connection.request("POST", f"/operations/{name}", body, headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


@pytest.mark.parametrize(
    ("body", "headers", "status", "exit_code", "sentence"),
    [
        (b"{}", {}, 403, 1, "this machine only"),
        (b"{}", {"content-type": "text/plain"}, 403, 1, "this machine only"),
        (b"{}", {**JSON, "origin": "https://evil.example"}, 403, 1, "this machine only"),
        (b"{}", {**JSON, "host": "evil.example"}, 403, 1, "this machine only"),
        (b"", JSON, 400, 2, "cannot be read"),
        (b"{", JSON, 400, 2, "cannot be read"),
        (b'{"args": {}, "args": {}}', JSON, 400, 2, "stands twice"),
        (b"[]", JSON, 400, 2, "sent as"),
        (b'{"args": {}, "signed": {"op": "run.list"}}', JSON, 400, 2, "sent as"),
        (b" " * (MAX_BODY_BYTES + 1), JSON, 400, 2, "at most"),
    ],
)
def test_what_is_no_operation_of_this_machine_is_refused(
    office: Office, body: bytes, headers: dict[str, str], status: int, exit_code: int, sentence: str
) -> None:
    with office.served() as (url, _):
        answered = post(url, body, headers)
    assert answered[0] == status
    assert answered[1]["exit"] == exit_code
    assert sentence in str(answered[1]["error"])


def test_the_signature_is_the_identity_and_not_the_place_it_comes_from(office: Office) -> None:
    key = personal_key(office.folder, load_settings(office.folder, person="ada"))
    with office.served() as (url, _):
        base = url.removesuffix("/mcp")
        signed = sign_now(key, "agent.list", {})
        assert send_operation(base, "agent.list", {}, signed)["agents"]
        with pytest.raises(OperationFailed, match="asked for before") as refused:
            send_operation(base, "agent.list", {}, signed)
        assert refused.value.exit_code == 1
        with pytest.raises(OperationFailed, match="no operation nothing"):
            send_operation(base, "nothing", {}, sign_now(key, "nothing", {}))


def test_an_owner_that_does_not_answer_is_one_sentence() -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        port = unheard.getsockname()[1]
    from policies.operations import SignedOperation

    signed = SignedOperation("run.list", "", "ada", 0, "", "", "")
    with pytest.raises(Unavailable, match="does not answer at"):
        send_operation(f"http://127.0.0.1:{port}", "run.list", {}, signed)


def test_something_else_behind_the_url_is_told_apart() -> None:
    from policies.operations import SignedOperation

    signed = SignedOperation("run.list", "", "ada", 0, "", "", "")
    with socket.create_server(("127.0.0.1", 0)) as other:

        def answer() -> None:
            peer, _ = other.accept()
            with peer:
                peer.recv(65_536)
                peer.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(Unavailable, match="is no server of Bailiwick"):
            send_operation(f"http://127.0.0.1:{other.getsockname()[1]}", "run.list", {}, signed)
        thread.join()


def test_what_nobody_foresaw_is_a_sentence_without_its_innards() -> None:
    failure = failure_of(ZeroDivisionError("secret"))
    assert failure.exit_code == 3
    assert "secret" not in failure.sentence
    assert "ZeroDivisionError" in failure.sentence
