"""What a rule can watch: one module per domain, each registering its measures (alerts.measures.registry).

A measure turns rules into readings with a bounded number of queries, whatever the volume of calls: from sums and small
tables only.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Protocol

from alerts.models import Alert, Direction


@dataclass(frozen=True)
class Reading:
    """What a rule saw at an instant. `value` None: there is nothing to judge (fewer calls than the minimum, no budget
    running); `sample` says how many calls there were."""

    alert: Alert
    value: Decimal | None
    # What of the rule this is about: a budget's id, a provider; empty for most.
    key: str = ""
    subject: str = ""
    sample: int = 0
    # Compared with the window before: what it was then; `value` is the change in percent.
    now_value: Decimal | None = None
    before_value: Decimal | None = None
    # Of what is counted per period: which one, and when it ends.
    period: str = ""
    period_ends_at: dt.datetime | None = None
    # JSON-able facts for words and links: {"spent_usd": "81.20", "limit_usd": "100"}.
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Point:
    """One place of a drawn course; None: not known."""

    at: dt.datetime
    value: Decimal | None


@dataclass(frozen=True)
class History:
    """How a rule's value went, for the editor (`step` apart) and for messages. `is_coarse`: drawn by larger bins than
    the rule's window, and `note` says so."""

    points: Sequence[Point]
    step: dt.timedelta
    samples: Sequence[int] = ()
    is_coarse: bool = False
    note: str = ""


@dataclass(frozen=True)
class Cause:
    """A part of the value and its share of the whole, biggest first: model, feature or user."""

    dimension: str
    value: str
    words: str
    share: Decimal | None = None


@dataclass(frozen=True)
class Evidence:
    """What a message shows beside its words. `rows` are label and figure in words; `url` is a path in this LLMLab."""

    rows: Sequence[tuple[str, str]] = ()
    points: Sequence[Point] = ()
    causes: Sequence[Cause] = ()
    url: str = ""
    url_label: str = ""


def usual_direction(measure: "Measure") -> str:
    """Which way is bad: up, but for measures that say otherwise by an attribute `direction` (scores)."""
    return str(getattr(measure, "direction", Direction.ABOVE))


class Measure(Protocol):
    """One kind of rule. `fields` names what its form has besides name, severity levels, channels and note:
    environment, provider, model, agent, user_id, tag, budget, score_name, percentile, direction, compare_with, window,
    minimum_sample, pending, recover, no_data; an attribute `labels` renames some of them."""

    kind: str
    label: str
    # usd, percent, ms, per_minute, seconds, minutes, score: what limits and values are in.
    unit: str
    help: str
    fields: frozenset[str]
    # Whether rules are judged every minute over a window (else: by news, and every minute as a net).
    is_windowed: bool

    def read(self, alerts: Sequence[Alert], now: dt.datetime) -> list[Reading]:
        """Readings of enabled rules of this kind, of any organisations; states its query count."""
        ...

    def history(self, alert: Alert, start: dt.datetime, end: dt.datetime) -> History:
        """How the value of a rule (saved or not) went."""
        ...

    def evidence(self, reading: Reading, now: dt.datetime) -> Evidence:
        """Asked for once, when a rule fires or its severity rises."""
        ...
