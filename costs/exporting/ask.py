"""What an organisation's export is asked for: days, projects, FOCUS version, one file or one a month or day (pure).

The question is a query string, as in `projects.exports`: start=2026-11-01&end=2026-11-20&split=month. Days are UTC and
both are included; months and days named by `only` (what changed) leave out the others.
"""

import datetime as dt
from dataclasses import dataclass, replace
from urllib.parse import urlencode
from uuid import UUID

from django.http import QueryDict

from core.errors import DomainError
from costs.focus.columns import DEFAULT_VERSION, VERSIONS
from projects.access import parse_uuid
from projects.exports.registry import Section

DAY = dt.timedelta(days=1)
MAX_DAYS = 1100
MAX_SECTIONS = 400
SPLITS = ("", "month", "day")
KNOWN = ("start", "end", "range", "version", "split", "only", "projects")
RANGES = {
    "month": "This month",
    "last-month": "Last month",
    "7d": "Last 7 days",
    "30d": "Last 30 days",
    "90d": "Last 90 days",
}


@dataclass(frozen=True)
class Asked:
    """Days in [first, end), and the rest of the question."""

    first: dt.date
    end: dt.date
    version: str = DEFAULT_VERSION
    split: str = ""
    only: tuple[str, ...] = ()
    project_ids: tuple[UUID, ...] = ()

    @property
    def start_at(self) -> dt.datetime:
        return dt.datetime.combine(self.first, dt.time(), dt.UTC)

    @property
    def end_at(self) -> dt.datetime:
        return dt.datetime.combine(self.end, dt.time(), dt.UTC)

    @property
    def query(self) -> str:
        """The question as a query string; `read_asked` reads the same from it."""
        given = {
            "start": self.first.isoformat(),
            "end": (self.end - DAY).isoformat(),
            "version": "" if self.version == DEFAULT_VERSION else self.version,
            "split": self.split,
            "only": ",".join(self.only),
            "projects": ",".join(str(one) for one in self.project_ids),
        }
        return urlencode({name: value for name, value in given.items() if value}, safe=",")


def read_asked(query: str, *, now: dt.datetime) -> Asked:
    """Raises DomainError naming the parameter, its value and the rule. Without days: this month."""
    given = QueryDict(query)
    unknown = sorted(set(given) - set(KNOWN))
    if unknown:
        raise DomainError(
            f"{unknown[0][:40]}: no such parameter; known are {', '.join(KNOWN)}.",
            code="unknown_parameter",
            fields=[unknown[0][:40]],
        )
    first, end = _days(given, now.astimezone(dt.UTC).date())
    return Asked(
        first,
        end,
        _choice(given, "version", VERSIONS, DEFAULT_VERSION),
        _choice(given, "split", SPLITS, ""),
        _only(given.get("only", "")),
        _projects(given.get("projects", "")),
    )


def _choice(given: QueryDict, name: str, allowed: tuple[str, ...], default: str) -> str:
    value: str = given.get(name) or default
    if value not in allowed:
        shown = ", ".join(one for one in allowed if one)
        raise DomainError(f"{name} is {value[:40]!r}; it must be one of {shown}.", fields=[name])
    return value


def _days(given: QueryDict, today: dt.date) -> tuple[dt.date, dt.date]:
    key = given.get("range", "")
    if key and not (given.get("start") or given.get("end")):
        return _preset(key, today)
    end = _day(given, "end") or today
    first = _day(given, "start") or end.replace(day=1)
    if not first <= end:
        raise DomainError(
            f"start is {first}; it must not be after end, which is {end}.", fields=["start", "end"]
        )
    if (end - first).days >= MAX_DAYS:
        raise DomainError(
            f"start to end spans {(end - first).days + 1} days; at most {MAX_DAYS} can be exported at once.",
            fields=["start", "end"],
        )
    return first, end + DAY


def _preset(key: str, today: dt.date) -> tuple[dt.date, dt.date]:
    if key not in RANGES:
        raise DomainError(
            f"range is {key[:40]!r}; it must be one of {', '.join(RANGES)}.", fields=["range"]
        )
    month = today.replace(day=1)
    if key == "month":
        return month, today + DAY
    if key == "last-month":
        return (month - DAY).replace(day=1), month
    return today + DAY - DAY * int(key[:-1]), today + DAY


def _day(given: QueryDict, name: str) -> dt.date | None:
    text = given.get(name, "")
    if not text:
        return None
    try:
        found = dt.date.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or not 2000 <= found.year < 2200:
        raise DomainError(
            f"{name} is {text[:40]!r}; it must be a day such as 2026-11-01.", fields=[name]
        )
    return found


def _only(text: str) -> tuple[str, ...]:
    parts = tuple(one for one in text.split(",") if one)
    for one in parts:
        try:
            dt.date.fromisoformat(one if len(one) == 10 else f"{one}-01")
        except ValueError:
            raise DomainError(
                f"only names {one[:40]!r}; it must name months or days such as 2026-11 or 2026-11-20.",
                fields=["only"],
            ) from None
    return parts


def _projects(text: str) -> tuple[UUID, ...]:
    found = []
    for one in text.split(","):
        if one and (uid := parse_uuid(one)) is None:
            raise DomainError(
                f"projects names {one[:40]!r}; it must name projects by their ids.",
                fields=["projects"],
            )
        if one and uid:
            found.append(uid)
    return tuple(found)


def month_after(day: dt.date) -> dt.date:
    """The first day of the month after the day's."""
    return (day.replace(day=1) + DAY * 32).replace(day=1)


def partitions(asked: Asked, split: str) -> list[tuple[str, dt.date, dt.date]]:
    """The months or days of the range, oldest first: (name, first day, end)."""
    found, at = [], asked.first
    while at < asked.end:
        following = min(month_after(at) if split == "month" else at + DAY, asked.end)
        found.append((at.isoformat()[: 7 if split == "month" else 10], at, following))
        at = following
    return [one for one in found if not asked.only or one[0] in asked.only]


def sections(asked: Asked, name: str, split: str) -> list[Section]:
    """One file a month or a day; raises DomainError for too many."""
    parts = partitions(asked, split)
    if len(parts) > MAX_SECTIONS:
        raise DomainError(
            f"This makes {len(parts)} files; at most {MAX_SECTIONS} at once. Choose a shorter range or split=month.",
            fields=["split", "start", "end"],
        )
    return [
        Section(f"{name}-{part}", replace(asked, first=first, end=end, split="", only=()).query)
        for part, first, end in parts
    ]
