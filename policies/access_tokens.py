"""Access tokens of an outside issuer (OAuth 2.1, RFC 9068): what one proves, or why it proves nothing.

Pure: the token, the issuer's keys, what is expected and the time come in. `joserfc` checks the signature with
the pinned algorithms; it checks neither `exp` nor `typ` nor double claims, so that is done here. A token says
which program calls for whom; it opens only what the agent that an admin linked to it may do.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, cast

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, Key, OKPKey, RSAKey

from ledger.canonical import CanonicalError, JsonObject, JsonValue, parse_strict

ALGORITHMS: Final = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "Ed25519",
)
"""What can be pinned: signatures by a private key, and nothing that a verifier could forge."""

MAX_TOKEN_BYTES: Final = 16_384
"""The longest access token that is looked at."""

MAX_KEYS: Final = 64
"""How many keys of an issuer are looked at."""

CLOCK_SKEW_MS: Final = 30_000
"""How far the issuer's clock may be from ours."""

_LONGEST_NAME: Final = 255
_SMALLEST_RSA_BITS: Final = 2048


@dataclass(frozen=True, slots=True)
class TokenRules:
    """What is asked of a token: its issuer, algorithms and type, and the scope that lets it in here."""

    issuer: str
    algorithms: tuple[str, ...]
    type: str
    scope: str


@dataclass(frozen=True, slots=True)
class TokenHeader:
    """What a token says before anything about it is checked: which key signed it, and how."""

    algorithm: str
    kid: str


@dataclass(frozen=True, slots=True)
class TokenIdentity:
    """Who a good token is of: the program `client`, calling for `subject`, as `issuer` says."""

    issuer: str
    subject: str
    client: str
    claims: JsonObject


@dataclass(frozen=True, slots=True)
class TokenRefused:
    """Why a token opens nothing; for the log, never for the wire. `lacks_scope`: it is good but for that."""

    reason: str
    lacks_scope: bool = False


def looks_like_token(credential: str) -> bool:
    """Whether a credential is of the form of a token: three parts, and no key or pass of ours."""
    return credential.count(".") == 2


def read_header(token: str, rules: TokenRules) -> TokenHeader | TokenRefused:
    """The header of a token, if one of that kind is taken here at all; nothing is verified yet."""
    if len(token) > MAX_TOKEN_BYTES:
        return TokenRefused(f"it is longer than {MAX_TOKEN_BYTES} bytes")
    parts = token.split(".")
    header = _object(parts[0]) if len(parts) == 3 else None
    if header is None:
        return TokenRefused("it is no compact JWS with a header in JSON")
    if "crit" in header:
        return TokenRefused("its header asks for an extension (crit), and none is known")
    algorithm, kid, kind = header.get("alg"), header.get("kid"), header.get("typ")
    if not isinstance(algorithm, str) or algorithm not in rules.algorithms:
        return TokenRefused(f"its algorithm is {str(algorithm)[:32]!r}")
    # RFC 7515, 4.1.9: a media type in any case, whose `application/` may be left out.
    if not isinstance(kind, str) or kind.lower().removeprefix("application/") != rules.type.lower():
        return TokenRefused(f"its type is {str(kind)[:32]!r}, not {rules.type}")
    if not isinstance(kid, str) or not 0 < len(kid) <= _LONGEST_NAME:
        return TokenRefused("it names no key (kid)")
    return TokenHeader(algorithm, kid)


def verify_token(
    token: str, key: Key, rules: TokenRules, audiences: Iterable[str], now_ms: int
) -> TokenIdentity | TokenRefused:
    """Who a token is of that the issuer's `key` signed for one of `audiences`, at `now_ms`."""
    header = read_header(token, rules)
    if isinstance(header, TokenRefused):
        return header
    claims = _signed_claims(token, key, header.algorithm)
    if isinstance(claims, TokenRefused):
        return claims
    wrong = _wrong_place(claims, rules, frozenset(audiences)) or _wrong_time(claims, now_ms)
    if wrong is not None:
        return TokenRefused(wrong)
    subject, client = _name(claims.get("sub")), _client(claims)
    if subject is None or client is None:
        return TokenRefused("it does not say for whom (sub) and by which program (client_id or azp)")
    if rules.scope and rules.scope not in _scopes(claims):
        return TokenRefused(f"it lacks the scope {rules.scope}", lacks_scope=True)
    return TokenIdentity(rules.issuer, subject, client, claims)


def _signed_claims(token: str, key: Key, algorithm: str) -> JsonObject | TokenRefused:
    if key.alg not in (None, algorithm):
        return TokenRefused("its key is for another algorithm")
    try:
        checked = jws.deserialize_compact(token, key, algorithms=[algorithm])
    except (JoseError, ValueError, TypeError):
        return TokenRefused("its signature is not good")
    try:
        claims = parse_strict(checked.payload or b"", max_bytes=MAX_TOKEN_BYTES)
    except CanonicalError as error:
        return TokenRefused(f"its claims cannot be read: {error}")
    return claims if isinstance(claims, dict) else TokenRefused("its claims are no object")


def usable_keys(key_set: JsonValue, algorithms: Iterable[str]) -> Mapping[str, Key] | None:
    """The public keys of an issuer's JWK set by key id that can sign with one of `algorithms`.

    None when it is no key set. Keys of other kinds, for encryption, too weak, or without an id are left out;
    of several with one id, the first one counts.
    """
    listed = key_set.get("keys") if isinstance(key_set, dict) else None
    if not isinstance(listed, list):
        return None
    taken = frozenset(algorithms)
    found: dict[str, Key] = {}
    for value in listed[:MAX_KEYS]:
        kid = value.get("kid") if isinstance(value, dict) else None
        if isinstance(value, dict) and isinstance(kid, str) and kid not in found:
            key = _usable(value, taken)
            if key is not None:
                found[kid] = key
    return found


def _usable(value: JsonObject, algorithms: frozenset[str]) -> Key | None:
    if value.get("use", "sig") != "sig" or value.get("alg", next(iter(algorithms), "")) not in algorithms:
        return None
    # The public members alone: what else an issuer says of a key is no matter here.
    public = {name: value[name] for name in ("kty", "crv", "x", "y", "n", "e", "alg") if name in value}
    match value.get("kty"):
        case "RSA" if _bits(value.get("n")) >= _SMALLEST_RSA_BITS:
            pass
        case "EC" | "OKP":
            pass
        case _:
            return None
    try:
        key = JWKRegistry.import_key(cast("dict[str, str | list[str]]", public))
    except (JoseError, ValueError, TypeError):
        return None
    return key if isinstance(key, RSAKey | ECKey | OKPKey) else None


def _bits(modulus: JsonValue) -> int:
    raw = _unb64(modulus) if isinstance(modulus, str) else None
    return 0 if raw is None else int.from_bytes(raw, "big").bit_length()


def _wrong_place(claims: JsonObject, rules: TokenRules, audiences: frozenset[str]) -> str | None:
    if claims.get("iss") != rules.issuer:
        return "another issuer made it"
    said = claims.get("aud")
    named = said if isinstance(said, list) else [said]
    if not any(isinstance(one, str) and one in audiences for one in named):
        return "it is for another audience"
    return None


def _wrong_time(claims: JsonObject, now_ms: int) -> str | None:
    """Stated positively, so that what is missing or no number fails."""
    expires, starts, issued = (_ms(claims.get(name)) for name in ("exp", "nbf", "iat"))
    if expires is None or not now_ms < expires + CLOCK_SKEW_MS:
        return "it has expired, or never says when it does"
    for name, at in (("nbf", starts), ("iat", issued)):
        if name in claims and (at is None or not at - CLOCK_SKEW_MS <= now_ms):
            return f"it is not good yet ({name})"
    return None


def _ms(value: JsonValue) -> float | None:
    return value * 1_000 if isinstance(value, int | float) and not isinstance(value, bool) else None


def _name(value: JsonValue) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= _LONGEST_NAME else None


def _client(claims: JsonObject) -> str | None:
    """The program that calls: `client_id` (RFC 9068), or `azp`; if both are there they must agree."""
    said = [claims[name] for name in ("client_id", "azp") if name in claims]
    return _name(said[0]) if said and all(one == said[0] for one in said) else None


def _scopes(claims: JsonObject) -> frozenset[str]:
    """What `scope` (RFC 8693) or `scp` says, as words or as a list."""
    found: list[str] = []
    for name in ("scope", "scp"):
        said = claims.get(name)
        words = said.split(" ") if isinstance(said, str) else said if isinstance(said, list) else []
        found += [word for word in words if isinstance(word, str)]
    return frozenset(found)


def _object(part: str) -> JsonObject | None:
    raw = _unb64(part)
    try:
        value = None if raw is None else parse_strict(raw, max_bytes=MAX_TOKEN_BYTES)
    except CanonicalError:
        return None
    return value if isinstance(value, dict) else None


def _unb64(text: str) -> bytes | None:
    try:
        return base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (ValueError, UnicodeEncodeError):
        return None
