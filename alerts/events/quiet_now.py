"""What is quiet at an instant: maintenance windows that run, and rules that are muted."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from alerts.models import Alert, Maintenance
from alerts.quiet import goes_on, occurrence_at


@dataclass(frozen=True)
class QuietNow:
    """Running windows with the end of their occurrence, and how many rules are muted."""

    windows: Sequence[tuple[Maintenance, dt.datetime]]
    muted: int

    def __bool__(self) -> bool:
        return bool(self.windows) or self.muted > 0


def quiet_now(organization_id: UUID, now: dt.datetime) -> QuietNow:
    """Two queries."""
    rows = Maintenance.objects.filter(organization_id=organization_id, starts_at__lte=now)
    rows = rows.filter(goes_on(now)).select_related("project")
    running = [(one, span[1]) for one in rows if (span := occurrence_at(one, now))]
    muted = Alert.objects.filter(
        organization_id=organization_id, is_enabled=True, muted_until__gt=now
    ).count()
    return QuietNow(sorted(running, key=lambda one: one[1]), muted)
