"""A witness: somebody else who remembers the newest head of a log, and accepts nothing but its extension.

The exchange is that of c2sp.org/tlog-witness: a submission holds the size that the witness knows, a proof of
consistency from there, and the new head; the reply is a status as HTTP has them. Here stands the judgement,
without I/O; `witness_file` keeps heads in a file, `server.witness_app` behind HTTP. Accepted heads are
countersigned as c2sp.org/tlog-cosignature says (cosignature/v1, Ed25519).
"""

import base64
import binascii
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ledger.errors import LedgerUnavailable
from ledger.heads import (
    HeadError,
    SignedHead,
    VerifierKey,
    key_hint,
    parse_head,
    read_vkey,
    signature_line,
    signatures_of,
    signed_text,
    verify_head,
    write_vkey,
)
from ledger.merkle import HASH_BYTES, verify_consistency

MAX_HASHES: Final = 63
"""The most hashes of a submission (tlog-witness: the client MUST NOT send more)."""

MAX_BYTES: Final = 16_384
"""The longest submission that is read, in bytes."""

_COSIGNATURE: Final = b"\x04"
_HINT_BYTES: Final = 4
_BLOB_BYTES: Final = _HINT_BYTES + 8 + 64


@dataclass(frozen=True, slots=True)
class Submission:
    """The head `note` (a text), and how it extends the log of `old_size` entries."""

    old_size: int
    hashes: tuple[bytes, ...]
    note: str

    def to_text(self) -> str:
        """As it is sent."""
        lines = "".join(f"{base64.b64encode(one).decode()}\n" for one in self.hashes)
        return f"old {self.old_size}\n{lines}\n{self.note}"


@dataclass(frozen=True, slots=True)
class Reply:
    """200: the head is kept, and `body` holds cosignature lines. 409: `body` may hold the size that is known.

    400: malformed; 403: signed by no trusted key; 404: no log of that name is known; 422: the proof is wrong.
    """

    status: int
    body: str = ""


class Witness(Protocol):
    """Where heads are submitted. `LedgerUnavailable` when nobody answers."""

    def submit(self, submission: Submission) -> Reply:
        """Submit a head; blocks."""
        ...

    def close(self) -> None:
        """Let go of whatever is open."""
        ...


def read_submission(text: str) -> Submission | None:
    """Read what was sent; None if it has another form."""
    top, blank, note = text.partition("\n\n")
    first, *rest = top.split("\n")
    word, _, size = first.partition(" ")
    if not blank or word != "old" or not (size.isascii() and size.isdecimal()) or str(int(size)) != size:
        return None
    try:
        hashes = tuple(base64.b64decode(line, validate=True) for line in rest)
        parse_head(note)
    except (binascii.Error, ValueError):
        return None
    if len(hashes) > MAX_HASHES or any(len(one) != HASH_BYTES for one in hashes):
        return None
    return Submission(int(size), hashes, note)


def judge_submission(
    kept: SignedHead | None, submission: Submission, keys: Mapping[str, bytes]
) -> SignedHead | Reply:
    """The head to keep, or why not. `kept` is the newest head of this log, `keys` those trusted to sign it.

    The order of the checks is that of tlog-witness.
    """
    try:
        new = verify_head(submission.note, parse_head(submission.note).origin, keys)
    except HeadError:
        return Reply(403)
    known = kept.size if kept else 0
    if submission.old_size > new.size:
        return Reply(400)
    if submission.old_size != known:
        return Reply(409, f"{known}\n")
    if kept is None:
        return new if not submission.hashes else Reply(422)
    if kept.size == new.size:
        return new if kept.root == new.root and not submission.hashes else Reply(409)
    extends = verify_consistency(kept.size, kept.root, new.size, new.root, submission.hashes)
    return new if extends else Reply(422)


def cosign(note: str, name: str, key: Ed25519PrivateKey, at_s: int) -> str:
    """The line by which the witness `name` confirms, at `at_s` (seconds), that it saw this head."""
    signature = key.sign(_cosigned(note, at_s))
    hint = key_hint(name, key.public_key().public_bytes_raw(), _COSIGNATURE)
    return signature_line(name, hint + struct.pack(">Q", at_s) + signature)


def verify_cosignature(note: str, lines: str, witness: VerifierKey) -> int:
    """When this witness confirmed the head, in seconds; `HeadError` unless one of the lines is its own."""
    hint = key_hint(witness.name, witness.public_key, _COSIGNATURE)
    for name, blob in signatures_of(f"{signed_text(note)}\n{lines}"):
        if name != witness.name or blob[:_HINT_BYTES] != hint or len(blob) != _BLOB_BYTES:
            continue
        (at_s,) = struct.unpack(">Q", blob[_HINT_BYTES : _HINT_BYTES + 8])
        key = Ed25519PublicKey.from_public_bytes(witness.public_key)
        try:
            key.verify(blob[_HINT_BYTES + 8 :], _cosigned(note, at_s))
        except InvalidSignature as error:
            raise HeadError(f"The cosignature of {name} is wrong.") from error
        return at_s
    raise HeadError(f"The head is not confirmed by the witness {witness.name}.")


def write_witness_key(name: str, public_key: bytes) -> str:
    """The witness's public key in one line, as the setting `witness_key` takes it."""
    return write_vkey(name, public_key, _COSIGNATURE)


def read_witness_key(text: str) -> VerifierKey:
    """The reverse; `HeadError` if it is none."""
    return read_vkey(text, _COSIGNATURE)


def _cosigned(note: str, at_s: int) -> bytes:
    return f"cosignature/v1\ntime {at_s}\n{signed_text(note)}".encode()


def no_answer(where: str, why: str) -> LedgerUnavailable:
    """What to say when a witness cannot be asked."""
    return LedgerUnavailable(f"The witness {where} cannot be asked ({why}); bring it back and try again.")
