"""What receivers were sent, newest last, and what came of it at PagerDuty."""

import datetime as dt
from collections import deque
from typing import Any

KEPT = 2_000
messages: deque[dict[str, Any]] = deque(maxlen=KEPT)
# Dedup key → {"state", "severity", "summary", "triggers"}.
incidents: dict[str, dict[str, Any]] = {}


def note(receiver: str, **what: Any) -> dict[str, Any]:
    """Keep one message; the receiver's answer is added when it is known."""
    kept = {"receiver": receiver, "at": dt.datetime.now(dt.UTC).isoformat(), **what}
    messages.append(kept)
    return kept


def forget() -> None:
    messages.clear()
    incidents.clear()
