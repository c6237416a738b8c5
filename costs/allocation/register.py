"""What the allocation does when others act (from apps.ready)."""

import datetime as dt
from typing import Any
from uuid import UUID

from costs.allocation import statements, teams
from costs.explorer.dimensions import register_team_rule
from costs.models import AllocationBook
from costs.signals import sync_finished


def register() -> None:
    """Teams by rules in the explorer; statements follow the bills."""
    register_team_rule(teams.team_rule)
    sync_finished.connect(follow_bill, dispatch_uid="costs.allocation")


def follow_bill(*, organization_id: UUID, now: dt.datetime, **_: Any) -> None:
    """Receiver of sync_finished, inside its transaction."""
    if AllocationBook.objects.filter(organization_id=organization_id).exists():
        statements.ask(organization_id, now=now)
