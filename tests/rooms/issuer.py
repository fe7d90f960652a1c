"""An issuer of access tokens on loopback: it signs whatever a test asks for, and serves its keys.

`fetched` counts how often they were asked for; `answer` lets a test say something else instead.
"""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from joserfc import jws
from joserfc.jwk import ECKey, Key, RSAKey

RESOURCE = "https://bailiwick.example/mcp"
ISSUER = "https://issuer.example/realm"


@dataclass(slots=True)
class Issuer:
    """The keys by id, and what is served in their place when a test says so."""

    url: str = ""
    keys: dict[str, ECKey] = field(default_factory=dict[str, ECKey])
    fetched: int = 0
    answer: tuple[int, dict[str, str], bytes] | None = None

    def rotate(self, kid: str) -> None:
        """A new key in the place of all others."""
        self.keys = {kid: ECKey.generate_key("P-256", parameters={"kid": kid, "alg": "ES256"})}

    def key_set(self) -> bytes:
        """The JWK set: the public halves."""
        listed = [{**key.as_dict(private=False), "kid": kid} for kid, key in self.keys.items()]
        return json.dumps({"keys": listed}).encode()

    def token(
        self,
        changes: dict[str, Any] | None = None,
        *,
        header: dict[str, Any] | None = None,
        key: Key | None = None,
        raw: bytes | None = None,
    ) -> str:
        """A token that is good but for the changes; None takes a claim or a header away."""
        now = int(time.time())
        claims = {"iss": ISSUER, "aud": RESOURCE, "sub": "robot", "client_id": "robot", "scope": "bailiwick"}
        said = _without_none({**claims, "iat": now, "exp": now + 300, **(changes or {})})
        kid = next(iter(self.keys))
        head = _without_none({"alg": "ES256", "typ": "at+jwt", "kid": kid, **(header or {})})
        payload = json.dumps(said).encode() if raw is None else raw
        algorithm = head.get("alg")
        if algorithm in (None, "none"):
            return f"{_b64(json.dumps(head).encode())}.{_b64(payload)}."
        signer = self.keys[kid] if key is None else key
        return jws.serialize_compact(head, payload, signer, algorithms=[str(algorithm)])


def _without_none(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@contextmanager
def issuing() -> Generator[Issuer]:
    """An issuer for the length of the block."""
    issuer = Issuer()
    issuer.rotate("first")

    class _Keys(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.fetched += 1
            status, headers, body = issuer.answer or (200, {}, issuer.key_set())
            self.send_response(status)
            for name, value in {**headers, "content-length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), _Keys) as server:
        issuer.url = f"http://127.0.0.1:{server.server_port}/keys"
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield issuer
        finally:
            server.shutdown()
            thread.join()


def signed_with_the_public_key(issuer: Issuer) -> str:
    """A token whose HMAC is keyed with the public key's own bytes: what fools a verifier that trusts `alg`.

    No good library makes one.
    """
    head, payload, _ = issuer.token().split(".")
    changed = json.loads(base64.urlsafe_b64decode(head + "==")) | {"alg": "HS256"}
    message = f"{_b64(json.dumps(changed).encode())}.{payload}"
    secret = next(iter(issuer.keys.values())).as_pem(private=False)
    return f"{message}.{_b64(hmac.digest(secret, message.encode(), 'sha256'))}"


def foreign_rsa() -> Key:
    """A key that the issuer does not know."""
    return RSAKey.generate_key(2048)
