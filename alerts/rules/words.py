"""What a rule says, for people (no query: project and budget come with the rule)."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from alerts.figures import COUNTED
from alerts.measures.base import Measure
from alerts.measures.registry import measures
from alerts.models import Alert, AlertKind, CompareWith, Direction, Severity
from alerts.units import change_words, value_words

_WATCHED = {
    AlertKind.BUDGET: "Spent of a budget",
    AlertKind.FORECAST: "Forecast of a budget",
    AlertKind.ANOMALY: "Spend beyond what was expected",
    AlertKind.RECONCILIATION: "Gap between bill and records",
    AlertKind.SYNC_FAILED: "Failed readings of a bill",
    AlertKind.NO_DATA: "Time without a call",
    AlertKind.FALLBACKS: "Calls that fell back",
    AlertKind.CIRCUIT_OPEN: "Time a circuit is open",
    AlertKind.CACHE_WRONG: "Wrong hits of the semantic cache",
    AlertKind.QUEUE_WAIT: "Queue wait",
}


def measure_or_none(kind: str) -> Measure | None:
    """The measure of a stored rule; None when no domain feeds that kind any more."""
    return next((one for one in measures() if one.kind == kind), None)


def unit_of(alert: Any) -> str:
    """The unit of a rule's limits and values."""
    measure = measure_or_none(alert.kind)
    return "percent" if measure is None or is_change(alert) else measure.unit


def is_change(alert: Any) -> bool:
    """Whether its values are changes in percent."""
    return bool(alert.compare_with == CompareWith.BEFORE)


def value_of(alert: Any, value: Decimal | None) -> str:
    """A value or limit of the rule in words."""
    if value is not None and is_change(alert):
        return change_words(value)
    return value_words(value, unit_of(alert), counted=COUNTED.get(alert.kind, ""))


def level_words(alert: Any) -> list[tuple[str, str]]:
    """Each limit in words with its severity: `("5%", "warning")`."""
    return [
        (value_of(alert, Decimal(str(one["limit"]))), str(one["severity"])) for one in alert.levels
    ]


def measure_words(alert: Any) -> str:
    """What is watched: `p95 latency`, `Error rate`, `Quality score groundedness`."""
    label = _WATCHED.get(alert.kind) or str(AlertKind(alert.kind).label)
    if alert.kind == AlertKind.LATENCY and alert.percentile:
        return f"p{alert.percentile} latency"
    if alert.kind == AlertKind.QUEUE_WAIT and alert.percentile:
        return f"p{alert.percentile} queue wait"
    return f"{label} {alert.score_name}" if alert.score_name else label


def condition_words(alert: Any) -> str:
    """`Error rate rises to 5% (warning) or 10% (critical) over 15 minutes`."""
    levels = [
        f"{words} ({Severity(severity).label.lower()})" for words, severity in level_words(alert)
    ]
    return (
        f"{measure_words(alert)} {Direction(alert.direction).label} {_listed(levels)}{_over(alert)}"
    )


def watched_words(alert: Any) -> str:
    """`Error rate over 15 minutes`, without the limits; `falls` is said, for most rise."""
    falls = " falls" if alert.direction == Direction.BELOW else ""
    return f"{measure_words(alert)}{falls}{_over(alert)}"


def _over(alert: Any) -> str:
    measure = measure_or_none(alert.kind)
    words = " against the window before" if is_change(alert) else ""
    if measure is not None and "window" in measure.fields:
        words += f" over {span_words(alert.window_minutes)}"
    return words


def scope_words(alert: Any) -> str:
    """`Support Copilot, model gpt-5, environment production`; what is not narrowed is not said."""
    parts = [alert.project.name if alert.project else "All projects"]
    if measure := measure_or_none(alert.kind):
        if alert.budget:
            parts.append(f"budget {alert.budget.name}")
        elif "budget" in measure.fields:
            parts.append("every budget")
    for name, label in (
        ("provider", "provider"), ("model", "model"), ("agent", "agent"), ("environment", "environment"),
        ("user_id", "user"), ("tag", "tag"),
    ):  # fmt: skip
        if value := getattr(alert, name):
            parts.append(f"{label} {value}")
    return ", ".join(parts)


def detail_words(alert: Alert) -> list[tuple[str, str]]:
    """The rest of a rule, label by label; what its kind does not know is left out."""
    measure = measure_or_none(alert.kind)
    has = measure.fields if measure else frozenset()
    found = []
    if "minimum_sample" in has:
        found.append(("Fewest calls to judge", f"{alert.minimum_sample:,}"))
    if "pending" in has:
        found.append(("Fires after", span_words(alert.pending_minutes) or "at once"))
    if "recover" in has:
        back = value_words(alert.recover_margin * 100, "percent")
        found.append(("Recovers", f"{back} back from the limit, {_kept(alert.recover_minutes)}"))
    if "no_data" in has:
        found.append(("Too few calls", alert.get_on_no_data_display()))
    reminds = (
        f"every {alert.remind_hours} h while nobody acknowledges" if alert.remind_hours else "no"
    )
    found.append(("Reminders", reminds))
    if alert.escalate_minutes:
        found.append(("Escalates", f"after {span_words(alert.escalate_minutes)} unacknowledged"))
    return found


def span_words(minutes: int) -> str:
    """`15 minutes`, `3 hours`, `7 days`; empty for none."""
    for size, name in ((1440, "day"), (60, "hour"), (1, "minute")):
        if minutes and minutes % size == 0:
            count = minutes // size
            return f"{count} {name}{'' if count == 1 else 's'}"
    return ""


def _kept(minutes: int) -> str:
    return f"kept for {span_words(minutes)}" if minutes else "at once"


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} or {parts[-1]}"
