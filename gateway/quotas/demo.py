"""Limits of the demo: one that refuses now and then, one that only says how far it is."""

import datetime as dt
from decimal import Decimal
from typing import Any

from accounts.models import AuditEvent, User
from gateway.models import Connection
from gateway.quotas.services import create_limit
from projects.demo import EMAIL
from projects.models import Project

BATCH = "batch"
_LIMITS: tuple[tuple[str, dict[str, Any]], ...] = (
    (
        "Batch jobs, per minute",
        {"scope": "tag", "value": BATCH, "metric": "requests", "window": "minute", "amount": 2},
    ),
    (
        "Dollars a day",
        {"scope": "project", "metric": "usd", "window": "day", "amount": 5, "is_hard": False},
    ),
)


def follow(sender: Any, *, project: Project, now: dt.datetime, **_: Any) -> None:
    """The demo's connections are there (traces.signals.demo_seeded)."""
    seed_limits(project=project, owner=User.objects.get(email=EMAIL), now=now)


def seed_limits(*, project: Project, owner: User, now: dt.datetime) -> None:
    """Nothing without connections, or where somebody made a limit before."""
    organization = project.organization
    made_before = AuditEvent.objects.filter(
        organization_id=organization.pk, action="gateway.limit.created"
    )
    if made_before.exists() or not Connection.objects.filter(organization=organization).exists():
        return
    for name, given in _LIMITS:
        amount = Decimal(given["amount"])
        create_limit(
            organization=organization, name=name, actor=owner, now=now, project_id=project.pk,
            **{**given, "amount": amount},
        )  # fmt: skip
