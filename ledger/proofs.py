"""Proofs that can be sent and checked without the ledger: this entry is in the log; this log only grew.

A proof carries the signed heads that it speaks about. Checking it needs the log's public keys and nothing
else; keys that the proof itself names are only what it says.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ledger.canonical import CanonicalError, JsonObject, JsonValue, canonical, parse_strict
from ledger.entries import StoredEntry, decode
from ledger.heads import HeadError, SignedHead, verify_head
from ledger.merkle import HASH_BYTES, leaf_hash, verify_consistency, verify_inclusion

FORMAT = "bailiwick-proof-1"
"""What a proof calls its form."""

MAX_BYTES = 4 * 1024 * 1024
"""The largest proof that is read, in bytes; its entry is the most of it."""

MAX_HASHES = 63
"""The most hashes in a proof: enough for 2^62 entries, and the limit of C2SP's witness protocol."""


class ProofError(ValueError):
    """A text is no proof, or proves nothing; the message says why."""


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """That the entry with these bytes is number `seq` of the log that `head` (a note) signs."""

    seq: int
    entry: bytes
    head: str
    hashes: tuple[bytes, ...]

    def as_json(self) -> JsonObject:
        """As it is sent; the entry stands there as JSON, whose canonical spelling is its bytes."""
        return {
            "kind": "inclusion",
            "seq": self.seq,
            "entry": json.loads(self.entry),
            "head": self.head,
            "hashes": _hex(self.hashes),
        }

    def check(self, origin: str, keys: Mapping[str, bytes]) -> tuple[SignedHead, StoredEntry]:
        """The signed head and the entry that is proven; `ProofError` says what does not hold."""
        head = _signed(self.head, origin, keys)
        leaf = leaf_hash(self.entry)
        if not verify_inclusion(self.seq - 1, head.size, leaf, self.hashes, head.root):
            raise ProofError(f"The entry is not number {self.seq} of the log of {head.size} entries.")
        try:
            entry = decode(self.entry)
        except ValueError as error:
            raise ProofError(f"What is proven is no entry: {error}") from error
        if entry.seq != self.seq:
            raise ProofError(f"The entry calls itself number {entry.seq}, not {self.seq}.")
        return head, entry


@dataclass(frozen=True, slots=True)
class ConsistencyProof:
    """That the log that `new` (a note) signs holds, unchanged, all that `old` signs."""

    old: str
    new: str
    hashes: tuple[bytes, ...]

    def as_json(self) -> JsonObject:
        """As it is sent."""
        return {"kind": "consistency", "old": self.old, "new": self.new, "hashes": _hex(self.hashes)}

    def check(self, origin: str, keys: Mapping[str, bytes]) -> tuple[SignedHead, SignedHead]:
        """The older and the newer head; `ProofError` says what does not hold."""
        old, new = _signed(self.old, origin, keys), _signed(self.new, origin, keys)
        if not verify_consistency(old.size, old.root, new.size, new.root, self.hashes):
            raise ProofError(
                f"The log of {new.size} entries does not extend the one of {old.size}: two histories."
            )
        return old, new


@dataclass(frozen=True, slots=True)
class SentProof:
    """A proof with the log that it says it is about, and the keys that it says are that log's."""

    origin: str
    head_keys: dict[str, bytes]
    proof: InclusionProof | ConsistencyProof

    def as_json(self) -> JsonObject:
        """As it is sent."""
        keys: JsonObject = {kid: base64.b64encode(key).decode() for kid, key in self.head_keys.items()}
        return {"format": FORMAT, "origin": self.origin, "head_keys": keys, **self.proof.as_json()}


def read_proof(text: str | bytes) -> SentProof:
    """Read a proof. This checks only its form; `ProofError` if it has another one."""
    try:
        match parse_strict(text, max_bytes=MAX_BYTES, max_depth=64):
            case {"format": "bailiwick-proof-1", "origin": str(origin), "head_keys": dict(keys), **rest}:
                head_keys = {kid: _unb64(key) for kid, key in keys.items()}
                return SentProof(origin, head_keys, _proof(rest))
            case _:
                raise CanonicalError("It does not call itself a proof.")
    except ValueError as error:
        raise ProofError(f"This is no proof of this version: {error}") from error


def _proof(value: Mapping[str, JsonValue]) -> InclusionProof | ConsistencyProof:
    match value:
        case {
            "kind": "inclusion",
            "seq": int(seq),
            "entry": dict(entry),
            "head": str(head),
            "hashes": list(hashes),
        }:
            return InclusionProof(seq, canonical(entry), head, _unhex(hashes))
        case {"kind": "consistency", "old": str(old), "new": str(new), "hashes": list(hashes)}:
            return ConsistencyProof(old, new, _unhex(hashes))
        case _:
            raise CanonicalError("It is neither of inclusion nor of consistency.")


def _signed(note: str, origin: str, keys: Mapping[str, bytes]) -> SignedHead:
    try:
        return verify_head(note, origin, keys)
    except HeadError as error:
        raise ProofError(str(error)) from error


def _hex(hashes: Sequence[bytes]) -> list[JsonValue]:
    return [one.hex() for one in hashes]


def _unhex(values: list[JsonValue]) -> tuple[bytes, ...]:
    texts = [value for value in values if isinstance(value, str) and len(value) == 2 * HASH_BYTES]
    if len(texts) != len(values) or len(values) > MAX_HASHES:
        raise CanonicalError(f"A proof has at most {MAX_HASHES} hashes of {HASH_BYTES} bytes.")
    return tuple(bytes.fromhex(text) for text in texts)


def _unb64(value: JsonValue) -> bytes:
    if not isinstance(value, str):
        raise CanonicalError("Bytes are written as base64 text.")
    return base64.b64decode(value, validate=True)
