"""Rules a team like the demo's would have, with limits sized by what its own calls did, and what they would have said.

The past is judged as the present is: readings of the recorded calls go through alerts.deciding, hour by hour. Nobody
is told of it; from then on the clock judges and the channels are told.
"""

import datetime as dt
from decimal import ROUND_DOWN, Decimal
from typing import Any

from django.conf import settings
from django.db import transaction

from accounts.models import AuditEvent, User
from alerts.channel_pages.services import create_channel
from alerts.deciding import decide
from alerts.measures.base import Reading
from alerts.measures.courses import whole
from alerts.measures.planning import length_of, projects_of, scope_of
from alerts.measures.registry import measure_for
from alerts.measures.windows import WindowMeasure
from alerts.models import Alert, AlertChannel, Channel, ChannelKind
from alerts.rules.drafts import read_draft
from alerts.rules.services import By, create_rule
from alerts.rules.starters import own_channel
from core.ranges import DAY, HOUR, floor
from costs.selectors.courses import Course, by_hour
from projects.demo import EMAIL
from projects.models import Project

DAYS = 14
HOOK = "Demo receiver"


def follow(sender: Any, *, project: Project, now: dt.datetime, **_: Any) -> None:
    """The demo's history is there (traces.signals.demo_seeded)."""
    furnish_alerts(project=project, owner=User.objects.get(email=EMAIL), now=now)


def furnish_alerts(*, project: Project, owner: User, now: dt.datetime) -> None:
    """Two channels, six rules, and the incidents of the last two weeks. Nothing where somebody made a rule before."""
    organization_id = project.organization_id
    made_before = AuditEvent.objects.filter(
        organization_id=organization_id, action="alerts.alert.created"
    )
    if made_before.exists():
        return
    with transaction.atomic():
        channels = _channels(project, owner, now)
        rules = [_make(project, data, owner, now) for data in _rules(project, now)]
    for alert in rules:
        judge_past(alert, now)
        AlertChannel.objects.bulk_create(
            AlertChannel(alert=alert, channel=channel) for channel in channels
        )


def _channels(project: Project, owner: User, now: dt.datetime) -> list[Channel]:
    """The owner by e-mail, and the simulator's receiver where there is one."""
    organization = project.organization
    found = [own_channel(organization=organization, user=owner, now=now)]
    if settings.LLMLAB_DEMO_SIMULATOR:
        saved = create_channel(
            organization=organization,
            kind=ChannelKind.WEBHOOK,
            name=HOOK,
            values={"url": f"{settings.LLMLAB_DEMO_SIMULATOR}/webhook/alerts"},
            actor=owner,
            now=now,
        )
        found.append(saved.channel)
    return found


def _rules(project: Project, now: dt.datetime) -> list[dict[str, Any]]:
    """What to watch, least to set up first."""
    of_project = {"project": str(project.pk)}
    hour = {"window_minutes": 60, "minimum_sample": 5}
    found: list[dict[str, Any]] = [
        {
            "name": "Budgets", "kind": "budget",
            "levels": _levels(("50", "info"), ("80", "warning"), ("100", "critical")),
            "note": "Ask Ines before anybody raises a limit.",
        },
        {"name": "Budgets that will not last", "kind": "forecast", "levels": _levels(("100", "warning"))},
        {"name": "Nothing arrives", "kind": "no_data", "levels": _levels(("120", "error")), **of_project},
    ]  # fmt: skip
    for name, kind, usual, severe in (
        ("Failing calls", "error_rate", "0.98", "0.998"),
        ("Dear hours", "spend", "0.985", ""),
        ("Slow answers", "latency", "0.985", ""),
    ):
        data = {
            "name": name,
            "kind": kind,
            "levels": _levels(("1", "warning")),
            **of_project,
            **hour,
        }
        levels = _sized(project, data, now, usual, severe)
        if levels:
            found.append(data | {"levels": levels})
    return found


def _levels(*given: tuple[str, str]) -> list[dict[str, str]]:
    return [{"limit": limit, "severity": severity} for limit, severity in given]


def _sized(
    project: Project, data: dict[str, Any], now: dt.datetime, usual: str, severe: str
) -> list[dict[str, str]]:
    """Limits that the hours of the last two weeks seldom reached; empty without such hours."""
    alert = read_draft(project.organization_id, data).alert()
    seen = sorted(one.value for _, one in readings_of(alert, now) if one.value is not None)
    if len(seen) < 24 or not seen[-1]:
        return []
    levels: list[tuple[str, str]] = []
    for share, severity in ((usual, "warning"), (severe, "critical")):
        if not share:
            continue
        place = int(Decimal(share) * (len(seen) - 1))
        # Reaching a limit counts: the next one up, or what is usual would fire.
        value = next((one for one in seen[place:] if one > seen[place]), seen[-1])
        step = Decimal(1).scaleb(value.adjusted() - 1)
        text = f"{value.quantize(step, rounding=ROUND_DOWN):f}"
        if not levels or Decimal(text) > Decimal(levels[-1][0]):
            levels.append((text, severity))
    return _levels(*levels)


def _make(project: Project, data: dict[str, Any], owner: User, now: dt.datetime) -> Alert:
    draft = read_draft(project.organization_id, data)
    return create_rule(draft=draft, by=By(owner), now=now)


def judge_past(alert: Alert, now: dt.datetime) -> None:
    """Hour by hour through the last two weeks, each decided as it was then."""
    for at, reading in readings_of(alert, now):
        decide([reading], now=at)


def readings_of(alert: Alert, now: dt.datetime) -> list[tuple[dt.datetime, Reading]]:
    """What a rule would have seen at each full hour: windows of the hourly sums; other kinds keep no past that can be
    read again, they begin now. Two queries."""
    measure = measure_for(alert.kind)
    if not isinstance(measure, WindowMeasure):
        return []
    end = floor(now, "hour")
    start, length = end - DAYS * DAY, whole(length_of(alert))
    scopes = [scope_of(alert, one) for one in projects_of([alert])[alert.pk]]
    course = Course(by_hour(scopes, start - length, end, with_latency=measure.with_latency))
    instants = [start + (n + 1) * HOUR for n in range(DAYS * 24)]
    return [(at, measure.reading(alert, course.window(at - length, at), None)) for at in instants]
