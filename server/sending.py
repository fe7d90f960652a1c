"""Sending an operation to the process that owns the data folder. The other side is `server.loopback`."""

from __future__ import annotations

import http.client
import json
from typing import Final, cast
from urllib.parse import urlsplit

from ledger.canonical import JsonObject
from policies.operations import SignedOperation
from server.errors import BadInput, DeskError, Unavailable

MAX_BODY_BYTES: Final = 28 * 1024 * 1024
"""The largest operation, in bytes: a document of 20 MiB in base64, and what stands around it."""

TIMEOUT_S: Final = 180.0
"""How long the command line waits for the owner: the slowest operation starts every upstream."""


class OperationFailed(DeskError):
    """The owner answered with a failure: its sentence and exit code are this one's."""

    def __init__(self, sentence: str, exit_code: int) -> None:
        super().__init__(sentence)
        self.exit_code = exit_code


def send_operation(url: str, name: str, args: JsonObject, signed: SignedOperation) -> JsonObject:
    """Ask the owner at `url` to perform a signed operation. `OperationFailed` carries its refusal."""
    body = json.dumps({"args": args, "signed": _wire(signed)}).encode()
    if len(body) > MAX_BODY_BYTES:
        raise BadInput(f"This operation has {len(body)} bytes; at most {MAX_BODY_BYTES} can be sent.")
    place = urlsplit(url)
    # Not urllib: a proxy named in the environment must never see this.
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=TIMEOUT_S)
    try:
        connection.request("POST", f"/operations/{name}", body, {"content-type": "application/json"})
        answered = json.loads(connection.getresponse().read())
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Unavailable(
            f"The server that owns the data folder does not answer at {url} ({type(error).__name__}); look "
            "at its messages, or stop it and run the command again."
        ) from None
    finally:
        connection.close()
    match answered:
        case {"result": dict()}:
            return cast("JsonObject", answered["result"])
        case {"error": str(sentence), "exit": int(exit_code)}:
            raise OperationFailed(sentence, exit_code)
        case _:
            raise Unavailable(f"What answers at {url} is no server of Bailiwick; look at what listens there.")


def _wire(signed: SignedOperation) -> dict[str, str | int]:
    return {
        "op": signed.op,
        "args_digest": signed.args_digest,
        "person": signed.person,
        "at": signed.at,
        "nonce": signed.nonce,
        "kid": signed.kid,
        "signature": signed.signature,
    }
