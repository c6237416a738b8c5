"""Bounds of one upload, and the typed refusals for breaking them.

Every number here keeps memory, CPU or a database column finite (reliability-cases F11, F13); the
message of each
refusal names the value and the rule.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from core.errors import DomainError

# Columns hold at most this many characters; see traces.models.
ID_LENGTH = 128
NAME_LENGTH = 200
SHORT_LENGTH = 64
ERROR_LENGTH = 2000
# 10^10 tokens at the dearest price still fit numeric(20,12); sums of millions of such calls still
# fit bigint.
MAX_TOKENS = 10_000_000_000
MAX_COST_USD = 1_000_000
MAX_DURATION_MS = 400 * 86_400_000.0


class BodyError(DomainError):
    """The body as a whole could not be read."""

    code = "invalid_body"


class UnsupportedEncodingError(DomainError):
    """The body is packed in a way we do not unpack."""

    code = "unsupported_encoding"
    status = 415


class BodyTooLargeError(DomainError):
    """More bytes than allowed, before or after unpacking."""

    code = "body_too_large"
    status = 413


class TooManyItemsError(DomainError):
    """More traces, spans or attributes in one upload than allowed; `items` are the steps it held, where known."""

    code = "too_many_items"
    status = 413

    def __init__(self, detail: str, *, fields: Sequence[str] = (), items: int = 0) -> None:
        super().__init__(detail, fields=fields)
        self.items = items


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one upload may hold. Whole-body limits refuse; per-value limits shorten and flag."""

    max_spans: int = 5_000  # spans, steps or cost records
    max_traces: int = 1_000
    max_entities: int = 300_000  # attributes, events, links and nested values together
    max_attributes: int = 10_000  # of one span
    max_events: int = 500
    max_links: int = 128
    max_depth: int = 32
    max_text: int = 1_000_000  # characters of one prompt, completion or attribute
    max_keys: int = 1_000  # of one object
    max_list: int = 10_000
    max_tags: int = 50


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """When a step may have started: inside the retention, at most a day ahead; ahead of
    `skew_after` is marked.
    """

    earliest: datetime
    latest: datetime
    skew_after: datetime

    @classmethod
    def around(cls, now: datetime, *, retention_days: int) -> "Window":
        """The window for an upload received at `now`."""
        return cls(
            earliest=now - timedelta(days=retention_days),
            latest=now + timedelta(days=1),
            skew_after=now + timedelta(minutes=5),
        )

    def complaint(self, moment: datetime) -> str:
        """Why `moment` is refused, or an empty string."""
        if moment < self.earliest:
            earliest = self.earliest.isoformat()
            return f"{moment.isoformat()} is before {earliest}, the start of the retention"
        if moment > self.latest:
            latest = self.latest.isoformat()
            return f"{moment.isoformat()} is after {latest}, one day ahead of the server's clock"
        return ""
