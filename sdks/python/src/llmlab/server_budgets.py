"""The budgets set in LLMLab, read by the program: `llm.budgets()`, and with the setting `server_budgets` a guard.

The guard knows what the server last said and never waits for it: it is read again in a thread of its own, at most
every half minute, and while the server is away (or a budget's period has ended meanwhile) nothing is refused.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from llmlab.config import Settings, logger

if TYPE_CHECKING:
    import datetime as dt
    from decimal import Decimal

_LEAST_WAIT, _AFTER_FAILURE = 5.0, 60.0


class ServerBudget:
    """One budget of LLMLab as the server last told it. `raw` is its whole JSON (docs/api.md)."""

    __slots__ = (
        "amount_usd",
        "counts_by_rules",
        "counts_every_call",
        "id",
        "is_hard",
        "name",
        "outlook",
        "raw",
        "remaining_usd",
        "resets_at",
        "scope",
        "spent_usd",
        "value",
    )

    def __init__(self, raw: dict[str, Any]) -> None:
        """Raises KeyError, TypeError, ValueError or ArithmeticError for what is no budget."""
        import datetime as dt
        from decimal import Decimal

        self.raw = raw
        self.id: str = str(raw["id"])
        self.name: str = str(raw["name"])
        self.scope: str = str(raw["scope"])
        self.value: str = str(raw.get("value") or "")
        self.amount_usd: Decimal = Decimal(raw["amount_usd"])
        self.spent_usd: Decimal = Decimal(raw["spent_usd"])
        self.remaining_usd: Decimal = Decimal(raw["remaining_usd"])
        self.is_hard: bool = raw["is_hard"] is True
        self.counts_every_call: bool = raw.get("counts_every_call") is True
        self.counts_by_rules: bool = raw.get("counts_by_rules") is True
        self.outlook: str = str(raw.get("outlook") or "")
        self.resets_at: dt.datetime = dt.datetime.fromisoformat(
            str(raw["resets_at"]).replace("Z", "+00:00")
        )

    def __repr__(self) -> str:
        return f"<ServerBudget {self.name!r} ${self.spent_usd} of ${self.amount_usd}>"

    def counts(self, user: str, model: str, tags: Collection[str]) -> bool:
        """Whether a call counts towards it, as far as this program can tell."""
        if self.counts_every_call:
            return True
        if self.counts_by_rules:
            # Allocation rules say whose a call is: the server's to tell.
            return False
        if self.scope == "team":
            return f"team:{self.value}" in tags
        if self.scope == "tag":
            return self.value in tags
        return bool(self.value) and (self.scope, self.value) in (("user", user), ("model", model))

    def refuses(self, now: dt.datetime) -> bool:
        """A hard one with nothing left, until it resets."""
        return self.is_hard and self.remaining_usd <= 0 and now < self.resets_at


class ServerBudgets:
    """What the server last said, and reading it again in the background."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._known: list[ServerBudget] | None = None
        self._etag = ""
        self._next_at = 0.0
        self._reading = threading.Lock()
        self._pid = os.getpid()
        self._is_told = False

    @property
    def known(self) -> list[ServerBudget] | None:
        """The last answer; None before the first."""
        return self._known

    def read(self) -> list[ServerBudget] | None:
        """Ask now, at most `timeout` seconds; the last answer when the server is away."""
        with self._lock():
            self._read()
        return self._known

    def refusing(self, user: str, model: str, tags: Collection[str]) -> ServerBudget | None:
        """The budget that refuses this call by what is known; reads again in the background. Never waits."""
        self.refresh()
        if not self._known:
            return None
        import datetime as dt

        now = dt.datetime.now(dt.timezone.utc)
        return first_refusing(self._known, now, user, model, tags)

    def refresh(self) -> None:
        """Have it read again if it is time, in a thread that does not keep the program alive."""
        if time.monotonic() < self._next_at:
            return
        lock = self._lock()
        if not lock.acquire(blocking=False):
            return
        try:
            self._next_at = time.monotonic() + _AFTER_FAILURE
            threading.Thread(
                target=self._read_and_release, args=(lock,), name="llmlab-budgets", daemon=True
            ).start()
        except RuntimeError:  # the interpreter is going down
            lock.release()

    def _read_and_release(self, lock: threading.Lock) -> None:
        try:
            self._read()
        finally:
            lock.release()

    def _lock(self) -> threading.Lock:
        """A forked child must not wait for a thread it does not have."""
        if self._pid != os.getpid():
            self._pid, self._reading = os.getpid(), threading.Lock()
        return self._reading

    def _read(self) -> None:
        from llmlab.delivery.forking import load_http
        from llmlab.delivery.transport import Transport, Unreachable

        wait = _AFTER_FAILURE
        transport = Transport(self._settings)
        try:
            load_http(transport.address.scheme == "https")
            answer = transport.get("budgets", {"If-None-Match": self._etag} if self._etag else {})
            if answer.status == 200:
                wait = self._take(answer.json(), answer.headers.get("etag", ""))
            elif answer.status == 304:
                wait = 30.0
            else:
                self._tell(f"the server answered {answer.status}: {answer.detail}")
        except Unreachable as error:
            logger.debug("LLMLab: budgets could not be read: %s", error)
        except Exception:
            logger.debug("LLMLab: budgets could not be read", exc_info=True)
        finally:
            transport.close()
            self._next_at = time.monotonic() + wait

    def _take(self, document: Any, etag: str) -> float:
        try:
            found = [ServerBudget(one) for one in document["results"]]
            wait = max(float(document.get("poll_after_seconds") or 30), _LEAST_WAIT)
        except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError):
            self._tell("the server's answer is none this version knows")
            return _AFTER_FAILURE
        self._known, self._etag = found, etag
        return wait

    def _tell(self, why: str) -> None:
        """Once: a key that may not read budgets stays so."""
        if not self._is_told:
            self._is_told = True
            logger.warning("LLMLab: budgets could not be read, nothing is refused: %s", why)


def first_refusing(
    budgets: list[ServerBudget], now: dt.datetime, user: str, model: str, tags: Collection[str]
) -> ServerBudget | None:
    """The first budget that counts the call and refuses it (sdks/contract/budgets.json)."""
    for one in budgets:
        if one.refuses(now) and one.counts(user, model, tags):
            return one
    return None
