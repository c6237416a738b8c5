"""What rules need of the sums per minute, and the task's work of bringing them up to now."""

import datetime as dt
from collections.abc import Iterable
from uuid import UUID

from alerts.measures.planning import is_compared, length_of, projects_of
from alerts.models import Alert, AlertKind
from costs import minutes
from costs.minutes import Need

# Kinds that are read from the sums per minute.
KINDS = (
    AlertKind.SPEND,
    AlertKind.COST_PER_CALL,
    AlertKind.ERROR_RATE,
    AlertKind.LATENCY,
    AlertKind.CALL_RATE,
    AlertKind.TOKEN_RATE,
    AlertKind.UNPRICED,
    AlertKind.NO_DATA,
    AlertKind.INGEST_LAG,
)


def needs(alerts: Iterable[Alert]) -> dict[UUID, Need]:
    """What each project's rules ask for. One query with rules of whole organisations."""
    alerts = list(alerts)
    projects = projects_of(alerts)
    found: dict[UUID, Need] = {}
    for alert in alerts:
        need = need_of(alert)
        for project_id in projects[alert.pk]:
            found[project_id] = found.get(project_id, Need()) | need
    return found


def need_of(alert: Alert) -> Need:
    return Need(
        longest=length_of(alert) * (2 if is_compared(alert) else 1),
        users=frozenset({alert.user_id} - {""}),
        tags=frozenset({alert.tag} - {""}),
        has_arrivals=alert.kind == AlertKind.INGEST_LAG,
    )


def roll_minutes(now: dt.datetime) -> int:
    """Before windowed rules are judged: bring the minutes of the projects they watch up to the last full one. Returns
    how many projects were read. Five queries, and a few for each project that was active."""
    alerts = Alert.objects.filter(is_enabled=True, kind__in=KINDS)
    return minutes.roll_all(needs(alerts), now=now)
