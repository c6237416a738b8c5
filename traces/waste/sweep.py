"""When days are looked through: by the clock for every project, and at once when somebody asks."""

import datetime as dt
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

from core import outbox
from projects.models import Project
from traces.waste.scan import pending_days, scan_project

TOPIC = "traces.waste"
# One piece of outbox work looks for so long, then the next piece goes on.
ASKED_S = 15.0


def scan_projects(*, now: Callable[[], dt.datetime], for_s: float) -> int:
    """Every project's changed days, until time is up; returns how many days."""
    done, end = 0, time.monotonic() + for_s
    active = Project.objects.filter(status=Project.Status.ACTIVE).select_related("organization")
    for project in active.order_by("id"):
        left = end - time.monotonic()
        if left <= 0:
            break
        done += scan_project(project, now=now, for_s=left)
    return done


def ask(*, project_id: UUID, now: dt.datetime, piece: int = 0) -> None:
    """Look through this project's days soon, today included; asking again within a minute changes nothing."""
    outbox.enqueue(
        topic=TOPIC,
        key=f"{TOPIC}:{project_id}:{int(now.timestamp() // 60)}:{piece}",
        payload={"project_id": str(project_id), "piece": piece},
        now=now,
    )


def handle(*, payload: dict[str, Any], now: dt.datetime) -> None:
    """Outbox work of `traces.waste`."""
    project = (
        Project.objects.select_related("organization")
        .filter(id__in=[payload["project_id"]])
        .first()
    )
    if project is None or project.status == Project.Status.DELETING:
        return
    piece = int(payload.get("piece", 0))
    # Today is looked at once, however it grows meanwhile.
    done = scan_project(project, now=lambda: now, for_s=ASKED_S, is_asked=piece == 0)
    if done and pending_days(project.pk, now=now):
        ask(project_id=project.pk, now=now, piece=piece + 1)
