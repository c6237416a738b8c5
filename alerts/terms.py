"""What rules are judged by (pure): their terms, where they stand, what they see and what came of it."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Protocol

OK, PENDING, FIRING, NO_DATA = "ok", "pending", "firing", "no_data"


class Observed(Protocol):
    """What `step` reads of alerts.measures.base.Reading."""

    @property
    def value(self) -> Decimal | None: ...
    @property
    def sample(self) -> int: ...
    @property
    def period(self) -> str: ...
    @property
    def facts(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True)
class Observation:
    """A reading without its rule. Of `facts` two names count: `gone` (why there is nothing to watch any more) and
    `basis` (what the limits are a share of: when it changes, an edit is judged without hysteresis)."""

    value: Decimal | None
    sample: int = 0
    period: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Level:
    limit: Decimal
    severity: str


@dataclass(frozen=True)
class Terms:
    """What a rule says, as far as it is judged by it. `levels` are least severe first."""

    levels: tuple[Level, ...]
    is_above: bool = True
    recover_margin: Decimal = Decimal("0.05")
    pending: dt.timedelta = dt.timedelta()
    recover: dt.timedelta = dt.timedelta()
    minimum_sample: int = 0
    # keep, alert or resolve
    on_no_data: str = "keep"
    # After a recovery it is news again at most once in so long.
    window: dt.timedelta = dt.timedelta(minutes=15)

    def reached(self, value: Decimal) -> int:
        """The place of the highest level that is reached, -1 for none. At the limit counts."""
        places = [n for n, one in enumerate(self.levels) if self._beyond(value, one.limit)]
        return max(places, default=-1)

    def held(self, value: Decimal) -> int:
        """The place of the highest level that has not been left by the margin."""
        places = [n for n, one in enumerate(self.levels) if self._beyond(value, self.line(one))]
        return max(places, default=-1)

    def line(self, level: Level) -> Decimal:
        """Where the value must pass on its way back: 80 with a margin of 5 % is left below 76."""
        room = abs(level.limit) * self.recover_margin
        return level.limit - room if self.is_above else level.limit + room

    def _beyond(self, value: Decimal, limit: Decimal) -> bool:
        return value >= limit if self.is_above else value <= limit

    @property
    def print(self) -> str:
        """Of what makes the limits: differs after an edit."""
        return f"{self.is_above}:" + ",".join(f"{one.limit.normalize()}" for one in self.levels)


class Rule(Protocol):
    """An Alert or a draft of one."""

    levels: Any
    direction: str
    recover_margin: Decimal
    pending_minutes: int
    recover_minutes: int
    minimum_sample: int
    on_no_data: str
    window_minutes: int


def terms_of(alert: Rule) -> Terms:
    """The terms of a rule, saved or not (pure)."""
    levels = [Level(Decimal(str(one["limit"])), str(one["severity"])) for one in alert.levels]
    return Terms(
        levels=tuple(levels),
        is_above=alert.direction != "below",
        recover_margin=Decimal(alert.recover_margin),
        pending=dt.timedelta(minutes=alert.pending_minutes),
        recover=dt.timedelta(minutes=alert.recover_minutes),
        minimum_sample=alert.minimum_sample,
        on_no_data=alert.on_no_data,
        window=dt.timedelta(minutes=alert.window_minutes),
    )


@dataclass(frozen=True)
class State:
    """Where a rule stands about one thing: the fields of alerts.models.AlertState.

    `level` is what holds now, `top` the highest told of in this incident (-1: of missing data) and `told_at` when;
    `other_top` the same of an incident about the other matter (a limit, missing data) shortly before it, None: of none.
    `is_quiet`: it came back so soon after a recovery that nobody was told.
    """

    status: str = OK
    level: int = -1
    period: str = ""
    value: Decimal | None = None
    sample: int = 0
    since: dt.datetime | None = None
    pending_since: dt.datetime | None = None
    clear_since: dt.datetime | None = None
    episode: int = 0
    evaluated_at: dt.datetime | None = None
    top: int = -1
    other_top: int | None = None
    told_at: dt.datetime | None = None
    recovered_at: dt.datetime | None = None
    is_quiet: bool = False
    basis: str = ""

    def heard(self, *, is_blind: bool) -> int | None:
        """The highest level people heard of, or -1 for missing data, in this incident or the one shortly before it."""
        return next(
            (
                one
                for one in (self.top, self.other_top)
                if one is not None and (one < 0) is is_blind
            ),
            None,
        )

    @property
    def is_open(self) -> bool:
        """An incident goes on."""
        return self.status in (FIRING, NO_DATA)


@dataclass(frozen=True)
class Decision:
    """What happened. `is_quiet`: write it down, tell nobody. `is_again`: the last incident goes on, no new one.
    `level` of a RESOLVE is what it was before."""

    move: str
    level: int
    severity: str
    limit: Decimal | None
    value: Decimal | None
    at: dt.datetime
    began_at: dt.datetime
    is_quiet: bool = False
    is_again: bool = False
    reason: str = ""
