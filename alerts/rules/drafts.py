"""What a person or program may ask for as a rule, checked and normalised.

`read_draft` is the only way in: forms, the API and the preview go through it, so they refuse the same things in the
same words. Which fields a kind takes, its measure says (alerts.measures); the others must be left out or empty.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal
from typing import Any
from uuid import UUID

from alerts.measures.base import Measure, usual_direction
from alerts.measures.registry import measure_for, measures
from alerts.models import Alert, CompareWith, Direction, NoData
from alerts.models.rules import MAX_WINDOW_MINUTES
from alerts.rules.levels import read_levels
from alerts.rules.places import Places, read_places
from alerts.rules.reading import choice, fraction, invalid, text, whole, whole_or_none
from costs.models import Budget
from projects.models import Project

MAX_MINUTES = 7 * 24 * 60
MAX_SAMPLE = 1_000_000
MAX_REMIND = 24 * 30
DEFAULT_MARGIN, DEFAULT_WINDOW = Decimal("0.05"), 15
FILTERS = ("environment", "provider", "model", "agent", "user_id", "tag")
_LENGTH = {"environment": 64, "provider": 64}
# Field of a measure → the names of a draft it stands for.
_STANDS_FOR = {
    "window": ("window_minutes",),
    "minimum_sample": ("minimum_sample",),
    "pending": ("pending_minutes",),
    "recover": ("recover_margin", "recover_minutes"),
    "no_data": ("on_no_data",),
}
ALWAYS = (
    "name", "kind", "project", "levels", "channels", "escalation_channels", "escalate_minutes", "remind_hours",
    "note", "is_enabled",
)  # fmt: skip
BY_MEASURE = (
    *FILTERS, "budget", "score_name", "percentile", "direction", "compare_with", "window_minutes", "minimum_sample",
    "pending_minutes", "recover_margin", "recover_minutes", "on_no_data",
)  # fmt: skip
FIELDS = (*ALWAYS, *BY_MEASURE)
# A rule that says otherwise here watches something else.
WATCHES = (
    "project", *FILTERS, "budget", "score_name", "percentile", "direction", "compare_with", "window_minutes",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class RuleDraft:
    """A checked rule that is not saved (yet)."""

    organization_id: UUID
    name: str
    kind: str
    project: Project | None
    levels: list[dict[str, str]]
    environment: str = ""
    provider: str = ""
    model: str = ""
    agent: str = ""
    user_id: str = ""
    tag: str = ""
    budget: Budget | None = None
    score_name: str = ""
    percentile: int | None = None
    direction: str = Direction.ABOVE
    compare_with: str = CompareWith.VALUE
    window_minutes: int = DEFAULT_WINDOW
    minimum_sample: int = 0
    pending_minutes: int = 0
    recover_margin: Decimal = DEFAULT_MARGIN
    recover_minutes: int = 0
    on_no_data: str = NoData.KEEP
    escalate_minutes: int | None = None
    remind_hours: int | None = None
    note: str = ""
    is_enabled: bool = True
    channels: list[UUID] = field(default_factory=list)
    escalation_channels: list[UUID] = field(default_factory=list)

    def alert(self) -> Alert:
        """The rule as a model that is not saved: what measures read."""
        names = {one.name for one in fields(self)} - {"channels", "escalation_channels"}
        return Alert(**{name: getattr(self, name) for name in names})


def measure_fields(measure: Measure) -> frozenset[str]:
    """The draft's names that a measure takes."""
    found: set[str] = set()
    for name in measure.fields:
        found.update(_STANDS_FOR.get(name, (name,)))
    return frozenset(found)


def read_draft(
    organization_id: UUID, data: Mapping[str, Any], *, project: Project | None = None
) -> RuleDraft:
    """A draft from a form or a JSON body. At most three queries (project, budget, channels); none for what is not
    named. With `project` (a project's API key asks) the rule is of that project whatever the data say.

    Raises InvalidRuleError naming field, value and rule.
    """
    kind = choice(data, "kind", [one.kind for one in measures()])
    measure = measure_for(kind)
    allowed = measure_fields(measure)
    for name in BY_MEASURE:
        if name not in allowed and data.get(name) not in (None, ""):
            raise invalid(
                name, data[name], f"left out: a rule of the kind {kind} has no such field"
            )
    name = text(data, "name", 120)
    if not name:
        raise invalid("name", "", "what people call this rule")
    places = read_places(organization_id, data, allowed, project=project)
    usual = usual_direction(measure)
    direction = _optional(data, allowed, "direction", Direction.values, usual)
    compare = _optional(data, allowed, "compare_with", CompareWith.values, CompareWith.VALUE)
    return RuleDraft(
        organization_id=organization_id,
        name=name,
        kind=kind,
        project=places.project,
        budget=places.budget,
        channels=places.channels,
        escalation_channels=places.escalation_channels,
        levels=read_levels(
            data.get("levels"), unit=measure.unit, direction=direction, compare_with=compare
        ),
        direction=direction,
        compare_with=compare,
        **_filters(data, allowed),
        **_timing(data, allowed),
        **_telling(data, places),
    )


def _optional(
    data: Mapping[str, Any], allowed: frozenset[str], name: str, values: list[str], default: str
) -> str:
    if name not in allowed or data.get(name) in (None, ""):
        return str(default)
    return choice(data, name, values)


def _filters(data: Mapping[str, Any], allowed: frozenset[str]) -> dict[str, Any]:
    found: dict[str, Any] = {
        name: text(data, name, _LENGTH.get(name, 200)) for name in FILTERS if name in allowed
    }
    if found.get("user_id") and found.get("tag"):
        raise invalid("tag", found["tag"], "empty when a user is named: the sums keep no pairs")
    if "score_name" in allowed:
        found["score_name"] = text(data, "score_name", 100)
        if not found["score_name"]:
            raise invalid("score_name", "", "the name of the scores to watch")
    if "percentile" in allowed:
        value = data.get("percentile")
        found["percentile"] = 95 if value in (None, "") else whole(value, "percentile", 1, 99)
    return found


def _timing(data: Mapping[str, Any], allowed: frozenset[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, low, high in (
        ("window_minutes", 1, MAX_WINDOW_MINUTES),
        ("minimum_sample", 0, MAX_SAMPLE),
        ("pending_minutes", 0, MAX_MINUTES),
        ("recover_minutes", 0, MAX_MINUTES),
    ):
        if name in allowed and data.get(name) not in (None, ""):
            found[name] = whole(data[name], name, low, high)
    if "recover_margin" in allowed and data.get("recover_margin") not in (None, ""):
        found["recover_margin"] = fraction(
            data["recover_margin"], "recover_margin", Decimal(0), Decimal("0.9")
        )
    found["on_no_data"] = _optional(data, allowed, "on_no_data", NoData.values, NoData.KEEP)
    return found


def _telling(data: Mapping[str, Any], places: Places) -> dict[str, Any]:
    minutes = whole_or_none(data, "escalate_minutes", 1, MAX_MINUTES)
    if minutes is None and places.escalation_channels:
        raise invalid(
            "escalate_minutes", "", "after how many minutes without acknowledgement to escalate"
        )
    if minutes is not None and not places.escalation_channels:
        raise invalid("escalation_channels", "", "where to escalate to, or no escalate_minutes")
    enabled = data.get("is_enabled", True)
    if not isinstance(enabled, bool):
        raise invalid("is_enabled", enabled, "true or false")
    return {
        "escalate_minutes": minutes,
        "remind_hours": whole_or_none(data, "remind_hours", 24, MAX_REMIND),
        "note": text(data, "note", 2000),
        "is_enabled": enabled,
    }
