"""An approval as a compact JWS: what was judged, who signed it, and everything that proves it without the
server.

The header is exactly `{"alg": "Ed25519", "typ": "approval+jwt", "kid": …}`. The claims hold the canonical
call and the log entries that it rests on: enrolments up to the root, the request, verdicts, and what came
of it. Verifying takes the root's public key and nothing else; a verified export is a proof and never a
credential.

`joserfc` checks the signature. It checks neither `exp` nor `typ` nor double claims, so that is done here, and
anything that has a second spelling is refused.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from ledger.canonical import CanonicalError, JsonObject, canonical, parse_strict
from ledger.clock import rfc3339
from ledger.entries import StoredEntry, decode
from ledger.keyring import Signed
from policies.call import CanonicalCall
from policies.errors import PolicyError
from policies.retelling import Retold, retell
from policies.server_keys import EXPORT
from policies.signing import b64url

ALGORITHM: Final = "Ed25519"
TYPE: Final = "approval+jwt"
MAX_EXPORT_BYTES: Final = 4 * 1024 * 1024
"""The longest exported approval that is looked at."""

_CLAIMS: Final = frozenset({"v", "iss", "sub", "iat", "nbf", "exp", "digest", "call", "entries"})
_DEEPEST: Final = 80  # a log entry may be 64 levels deep, and stands inside the claims


class ExportRefused(PolicyError):
    """An exported approval proves nothing, or not now; the message says why."""


@dataclass(frozen=True, slots=True)
class Proven:
    """What a verified export proves. `approved_by` are the people whose good signatures say approve."""

    request: str
    origin: str
    exported_ms: int
    call: CanonicalCall
    owner: str
    approved_by: tuple[str, ...]
    execution: str | None


def export_approval(
    request: str,
    call: CanonicalCall,
    entries: Sequence[bytes],
    *,
    origin: str,
    now_ms: int,
    kid: str,
    sign: Callable[[bytes], Signed],
) -> str:
    """The compact JWS for a request. `entries` are log entries in order; `sign` signs with the server key
    `kid`.
    """
    claims: JsonObject = {
        "v": 1,
        "iss": origin,
        "sub": request,
        "iat": now_ms // 1000,
        "nbf": call.not_before // 1000,
        "exp": call.expires // 1000,
        "digest": call.digest(),
        "call": call.as_json(),
        "entries": [parse_strict(raw, max_bytes=len(raw), max_depth=_DEEPEST) for raw in entries],
    }
    header = canonical({"alg": ALGORITHM, "typ": TYPE, "kid": kid})
    message = f"{b64url(header)}.{b64url(_spelled(claims))}"
    signed = sign(message.encode())
    if signed.kid != kid:
        raise ExportRefused("The server's key changed meanwhile; export again.")
    return f"{message}.{b64url(signed.signature)}"


def verify_export(text: str, root: str, at_ms: int) -> Proven:
    """What an exported approval proves at `at_ms` to whoever trusts the root key `root` (base64url).

    Raises `ExportRefused` with the first thing that is wrong.
    """
    header, claims, kid = _parts(text)
    story = _story(claims, at_ms)
    call = story.call
    if story.root != root:
        raise ExportRefused("It leads back to another root key than the one that you named.")
    voucher = story.server_keys.get(kid)
    if voucher is None or (voucher.key.origin, voucher.key.purpose) != (claims["iss"], EXPORT):
        raise ExportRefused(f"It is signed with the key {kid[:32]!r}, which no administrator vouched for.")
    _check_signature(text, header, voucher.key.public_key)
    if story.faults:
        raise ExportRefused(f"Its entries do not hold: {story.faults[0]}")
    if call is None or claims["digest"] != call.digest() or claims["call"] != call.as_json():
        raise ExportRefused("Its call is not the one that was asked for and signed.")
    if (claims["nbf"], claims["exp"]) != (call.not_before // 1000, call.expires // 1000):
        raise ExportRefused("Its times are not those of the call.")
    _check_time(call, at_ms)
    if story.denial is not None:
        raise ExportRefused(f"It opens nothing: {story.denial.code}, {story.denial.reason}.")
    exported_ms = claims["iat"]
    assert isinstance(exported_ms, int), "checked with the shape of the claims"
    return Proven(
        request=str(claims["sub"]),
        origin=str(claims["iss"]),
        exported_ms=exported_ms * 1000,
        call=call,
        owner=story.owner,
        approved_by=tuple(dict.fromkeys(who for who, what in story.signers if what == "approve")),
        execution=story.execution,
    )


def _parts(text: str) -> tuple[JsonObject, JsonObject, str]:
    """Header, claims and key id, each in its only spelling."""
    if len(text) > MAX_EXPORT_BYTES:
        raise ExportRefused(f"It is longer than {MAX_EXPORT_BYTES} bytes, so it is no exported approval.")
    parts = [_unb64(part) for part in text.split(".")]
    if len(parts) != 3 or None in parts:
        raise ExportRefused("It is no compact JWS in its one spelling: three parts in unpadded base64url.")
    header, claims = (_object(raw or b"") for raw in parts[:2])
    if "crit" in header:
        raise ExportRefused("Its header asks for an extension (crit), and none is known.")
    if header.get("alg") != ALGORITHM:
        raise ExportRefused(f"Its algorithm is {header.get('alg')!r}, and only {ALGORITHM} is taken.")
    if header.get("typ") != TYPE:
        raise ExportRefused(f"Its type is {header.get('typ')!r}, and an exported approval is {TYPE}.")
    kid = header.get("kid")
    if not isinstance(kid, str) or header.keys() != {"alg", "typ", "kid"}:
        raise ExportRefused("Its header holds exactly alg, typ and kid, and nothing besides.")
    whole = all(type(claims.get(name)) is int for name in ("iat", "nbf", "exp"))
    named = all(isinstance(claims.get(name), str) for name in ("iss", "sub", "digest"))
    if claims.keys() != _CLAIMS or claims["v"] != 1 or not whole or not named:
        raise ExportRefused("Its claims are not those of an exported approval of this version.")
    return header, claims, kid


def _object(raw: bytes) -> JsonObject:
    try:
        value = parse_strict(raw, max_bytes=MAX_EXPORT_BYTES, max_depth=_DEEPEST)
    except CanonicalError as error:
        raise ExportRefused(f"A part of it cannot be read: {error}") from None
    if not isinstance(value, dict) or _spelled(value) != raw:
        raise ExportRefused("A part of it is not spelled as it was exported.")
    return value


def _spelled(value: JsonObject) -> bytes:
    """The canonical form, member by member and entry by entry: each may be as deep as one of the log."""
    members: list[bytes] = []
    for name in sorted(value):
        member = value[name]
        if isinstance(member, list) and name == "entries":
            spelled = b"[" + b",".join(canonical(entry) for entry in member) + b"]"
        else:
            spelled = canonical(member)
        members.append(canonical(name) + b":" + spelled)
    return b"{" + b",".join(members) + b"}"


def _story(claims: JsonObject, at_ms: int) -> Retold:
    listed = claims["entries"]
    if not isinstance(listed, list):
        raise ExportRefused("Its entries are no list.")
    entries: list[StoredEntry] = []
    for value in listed:
        try:
            entries.append(decode(canonical(value)))
        except (CanonicalError, ValueError):
            raise ExportRefused("One of its entries is no entry of a log.") from None
    if any(one.seq >= other.seq for one, other in pairwise(entries)):
        raise ExportRefused("Its entries are not in the order of the log.")
    return retell(entries, str(claims["sub"]), at_ms)


def _check_signature(text: str, header: JsonObject, public_key: str) -> None:
    key = OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": public_key})
    try:
        checked = jws.deserialize_compact(text, key, algorithms=[ALGORITHM])
    except (JoseError, ValueError):
        raise ExportRefused("Its signature is not good.") from None
    if checked.headers() != header:
        raise ExportRefused("Its header is not the one that was signed.")


def _check_time(call: CanonicalCall, at_ms: int) -> None:
    if at_ms < call.not_before:
        raise ExportRefused(f"It is not good before {rfc3339(call.not_before)}.")
    if at_ms >= call.expires:
        raise ExportRefused(
            f"It expired at {rfc3339(call.expires)}. To see what it proved before, say which time: --at "
            f"{rfc3339(call.expires - 1)}"
        )


def _unb64(text: str) -> bytes | None:
    try:
        raw = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (ValueError, UnicodeEncodeError):
        return None
    return raw if b64url(raw) == text else None
