"""Keys this process knows, each with its project's snapshot: asked again once a second, and while PostgreSQL is away
believed for a quarter of an hour. A person's pass (gateway.playground.passes) counts as a key for its minute."""

import asyncio
import hashlib
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import msgspec
from django.db import DatabaseError, connection
from django.utils import timezone

from core.errors import DomainError
from gateway.playground import passes
from gateway.snapshot import Snapshot, snapshot_of
from projects.authentication import KeyAuth, authenticate_key

logger = logging.getLogger(__name__)

# A key that is in use is asked for again in the background after this, and nobody is answered by what is older than
# FRESH_S.
RENEW_S = 0.5
FRESH_S = 1.0
# How long a known key holds when PostgreSQL does not answer, how long a request waits to hear that it does not, and
# how long nobody asks after that.
STALE_S = 900.0
WAIT_S = 2.0
PAUSE_S = 1.0
MAX_KEPT = 10_000
THREADS = 2


class Opened(msgspec.Struct, frozen=True):
    """A valid key and what its project's gateway is."""

    auth: KeyAuth
    snapshot: Snapshot
    # The address of the person whose pass it is; empty: a key.
    person: str = ""


class KeysAwayError(DomainError):
    """PostgreSQL does not answer and this process has not seen the key in the last quarter of an hour."""

    code = "storage_unavailable"
    status = 503


class _Kept(msgspec.Struct):
    """What PostgreSQL said of a key; None: there is no such key."""

    opened: Opened | None
    seen_at: float


class Keys:
    """Belongs to one event loop."""

    def __init__(self) -> None:
        self._kept: dict[bytes, _Kept] = {}
        # Unknown keys and passes, apart: whoever tries keys, or runs many calls by hand, displaces no good key.
        self._passing: dict[bytes, _Kept] = {}
        self._asked: dict[bytes, asyncio.Future[_Kept]] = {}
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="gateway-keys")
        self._away_until = 0.0

    async def open(self, raw: str) -> Opened | None:
        """What the key opens; None: it is unknown, expired or revoked. Raises KeysAwayError."""
        if raw.startswith(passes.PREFIX) and passes.read_pass(raw, now=timezone.now()) is None:
            return None  # its minute ends whatever is remembered of it
        digest = hashlib.sha256(raw.encode("utf-8", "surrogatepass")).digest()
        kept, now = self._kept.get(digest) or self._passing.get(digest), time.monotonic()
        if kept is not None and now - kept.seen_at < FRESH_S:
            if now - kept.seen_at > RENEW_S and digest not in self._asked:
                self._ask(digest, raw)
            return kept.opened
        if now < self._away_until:
            return self._believed(kept, now)
        asked = self._asked.get(digest) or self._ask(digest, raw)
        try:
            async with asyncio.timeout(WAIT_S):
                return (await asyncio.shield(asked)).opened
        except (DatabaseError, TimeoutError):
            return self._believed(kept, now)

    def _believed(self, kept: _Kept | None, now: float) -> Opened | None:
        if kept is None or kept.opened is None or now - kept.seen_at > STALE_S:
            detail = "The database does not answer, so this key cannot be checked. Send it again in a moment."
            raise KeysAwayError(detail)
        return kept.opened

    def _ask(self, digest: bytes, raw: str) -> "asyncio.Future[_Kept]":
        """Everybody who waits for this key waits for the same question."""
        loop = asyncio.get_running_loop()
        asked = self._asked[digest] = loop.run_in_executor(self._threads, _look, raw)
        asked.add_done_callback(partial(self._told, digest))
        return asked

    def _told(self, digest: bytes, asked: "asyncio.Future[_Kept]") -> None:
        self._asked.pop(digest, None)
        if asked.cancelled():
            return
        error = asked.exception()
        if error is not None:
            self._away_until = time.monotonic() + PAUSE_S
            logger.warning("gateway.keys.away", extra={"why": type(error).__name__})
            return
        found = asked.result()
        kept, other = self._kept, self._passing
        if found.opened is None or found.opened.person:
            kept, other = other, kept
        other.pop(digest, None)
        if len(kept) >= MAX_KEPT and digest not in kept:
            kept.pop(next(iter(kept)))
        kept[digest] = found


def _look(raw: str) -> _Kept:
    """Ask PostgreSQL, on a thread. Two queries when nothing changed."""
    now = time.monotonic()
    try:
        auth, person = _identify(raw)
        if auth is None:
            return _Kept(None, now)
        snapshot = snapshot_of(auth.organization_id, auth.project_id, now=now, fresh_s=RENEW_S / 2)
        return _Kept(Opened(auth, snapshot, person), now)
    finally:
        connection.close()


def _identify(raw: str) -> tuple[KeyAuth | None, str]:
    """Who holds it: a key's project, or what a person's pass opens and their address. One query."""
    if raw.startswith(passes.PREFIX):
        return passes.open_pass(raw, now=timezone.now()) or (None, "")
    return authenticate_key(raw, now=timezone.now()), ""
