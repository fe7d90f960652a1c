"""The public keys of the issuer of access tokens: fetched when needed, kept for a while, fetched anew for a
key that is not known.

A caller can make up key ids, so an unknown one causes a fetch at most every `REFETCH_S`. No redirect is
followed and no proxy of the environment asked: the keys come from the address in the settings or not at all.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import anyio
import httpx2
from joserfc.jwk import Key

from ledger.canonical import CanonicalError, parse_strict
from policies.access_tokens import usable_keys
from server.errors import Unavailable

logger = logging.getLogger(__name__)

FRESH_S: Final = 600.0
"""After this long the keys are fetched anew, so that one the issuer has withdrawn ends here too."""

STALE_S: Final = 3_600.0
"""For this long keys go on when the issuer does not answer; then no token is taken."""

REFETCH_S: Final = 30.0
"""How far two fetches are apart at least, in seconds."""

_TIMEOUT_S: Final = 5.0
_MAX_BYTES: Final = 262_144


class IssuerSilent(Unavailable):
    """The issuer's keys cannot be had, so nobody can say whether a token is good."""


class IssuerKeys:
    """The keys at one address. `clock` counts seconds and never goes back."""

    def __init__(
        self, url: str, algorithms: Iterable[str], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._url = url
        self._algorithms = tuple(algorithms)
        self._clock = clock
        self._keys: Mapping[str, Key] = {}
        self._fetched: float | None = None
        self._tried: float | None = None
        self._fetching = anyio.Lock()

    async def key(self, kid: str) -> Key | None:
        """The issuer's key of that id, or None. `IssuerSilent` when the keys cannot be had."""
        if not self._fresh() or kid not in self._keys:
            async with self._fetching:
                # Whoever waited for the lock may find that it was done meanwhile.
                if (not self._fresh() or kid not in self._keys) and self._may_try():
                    await self._fetch()
        if self._fetched is None or self._clock() - self._fetched >= STALE_S:
            raise IssuerSilent(f"The issuer's keys cannot be had from {self._url}.")
        return self._keys.get(kid)

    async def count(self) -> int:
        """How many keys can be used. `IssuerSilent` when they cannot be had."""
        async with self._fetching:
            await self._fetch()
        if self._fetched is None:
            raise IssuerSilent(f"The issuer's keys cannot be had from {self._url}; mend oauth_keys.")
        return len(self._keys)

    def _fresh(self) -> bool:
        return self._fetched is not None and self._clock() - self._fetched < FRESH_S

    def _may_try(self) -> bool:
        return self._tried is None or self._clock() - self._tried >= REFETCH_S

    async def _fetch(self) -> None:
        self._tried = self._clock()
        try:
            keys = usable_keys(parse_strict(await _body(self._url), max_bytes=_MAX_BYTES), self._algorithms)
        except (httpx2.HTTPError, TimeoutError, CanonicalError) as error:
            logger.error("the issuer's keys could not be fetched from %s: %s", self._url, error)
            return
        if keys is None:
            logger.error("what stands at %s is no JWK set", self._url)
            return
        self._keys, self._fetched = keys, self._clock()
        logger.info("%d keys of the issuer were fetched from %s", len(keys), self._url)


async def _body(url: str) -> bytes:
    with anyio.fail_after(_TIMEOUT_S):
        async with (
            httpx2.AsyncClient(follow_redirects=False, trust_env=False, timeout=_TIMEOUT_S) as http,
            http.stream("GET", url, headers={"accept": "application/json"}) as answer,
        ):
            if answer.status_code != 200:
                raise httpx2.HTTPError(f"it answered {answer.status_code}")
            body = bytearray()
            async for chunk in answer.aiter_bytes():
                body += chunk
                if len(body) > _MAX_BYTES:
                    raise httpx2.HTTPError(f"it is longer than {_MAX_BYTES} bytes")
            return bytes(body)
