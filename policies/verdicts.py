"""A human's judgement of one exact call: the statement that is signed, and what travels and is stored.

The signed statement is `{v, request_digest, verdict, reviewer, at}` and nothing else. It names the call by
digest, so it holds for no other call, and its reviewer by id, so a signature cannot be moved to another
name.
"""

from dataclasses import dataclass
from typing import Final, Literal

from ledger.canonical import JsonObject
from policies.signing import VERDICT_DOMAIN, PersonalKey, sign, verify

Choice = Literal["approve", "deny"]
VERDICT_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Verdict:
    """What `reviewer` decided about the call with `request_digest`, at `at` milliseconds since the epoch."""

    request_digest: str
    verdict: Choice
    reviewer: str
    at: int

    def as_json(self) -> JsonObject:
        """The statement that is signed."""
        return {
            "v": VERDICT_VERSION,
            "request_digest": self.request_digest,
            "verdict": self.verdict,
            "reviewer": self.reviewer,
            "at": self.at,
        }


@dataclass(frozen=True, slots=True)
class SignedVerdict:
    """A verdict with its Ed25519 signature (unpadded base64url) and the id of the key that made it."""

    verdict: Verdict
    kid: str
    signature: str

    def is_signed_by(self, public_key: str) -> bool:
        """Whether the holder of `public_key` (base64url) signed exactly this verdict."""
        return verify(public_key, VERDICT_DOMAIN, self.verdict.as_json(), self.signature)


def sign_verdict(key: PersonalKey, request_digest: str, choice: Choice, *, at: int) -> SignedVerdict:
    """The verdict of the key's person, signed. `at` is the time in milliseconds since the epoch."""
    verdict = Verdict(request_digest, choice, key.person, at)
    return SignedVerdict(verdict, key.kid, sign(key, VERDICT_DOMAIN, verdict.as_json()))
