"""`--since 30d`: how far back, or from when (pure)."""

from __future__ import annotations

import datetime as dt
import re

from llmlab.cli.errors import CliError

_UNITS = {
    "s": dt.timedelta(seconds=1),
    "m": dt.timedelta(minutes=1),
    "h": dt.timedelta(hours=1),
    "d": dt.timedelta(days=1),
    "w": dt.timedelta(weeks=1),
}
LONGEST = dt.timedelta(days=400)
_RULE = "it must be a length like 15m, 24h, 30d, 2w, or a time like 2026-11-01 or 2026-11-01T09:00Z"


def read_since(text: str, *, now: dt.datetime, name: str = "--since") -> dt.datetime:
    """The moment in UTC. Raises CliError naming value and rule."""
    word = text.strip()
    found = re.fullmatch(r"(\d{1,6})([smhdw])", word)
    if found:
        back = int(found[1]) * _UNITS[found[2]]
        if not dt.timedelta() < back <= LONGEST:
            raise CliError(f"{name} is {word!r}; it must lie between 1s and {LONGEST.days}d.")
        return now - back
    try:
        at = dt.datetime.fromisoformat(word.replace("Z", "+00:00"))
    except ValueError:
        raise CliError(f"{name} is {word[:60]!r}; {_RULE}.") from None
    at = at if at.tzinfo else at.replace(tzinfo=dt.timezone.utc)
    return at.astimezone(dt.timezone.utc)


def iso(at: dt.datetime) -> str:
    """As the API takes it."""
    return at.astimezone(dt.timezone.utc).isoformat().replace("+00:00", "Z")


def utc_now() -> dt.datetime:
    """Now, aware."""
    return dt.datetime.now(dt.timezone.utc)


def read_expiry(text: str, *, now: dt.datetime) -> dt.datetime:
    """`30d` from now, or a time to come. Raises CliError."""
    found = re.fullmatch(r"(\d{1,6})([smhdw])", text.strip())
    at = (
        now + int(found[1]) * _UNITS[found[2]]
        if found
        else read_since(text, now=now, name="--expires")
    )
    if at <= now:
        raise CliError(f"--expires is {text!r}; it must lie ahead.")
    return at
