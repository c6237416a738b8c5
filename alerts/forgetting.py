"""Taking an erased user of the project's product out of rules, incidents and messages (traces.signals.user_erased)."""

import datetime as dt
from typing import Any
from uuid import UUID

from django.db.models import Q

from alerts.incidents import announce
from alerts.models import Alert, AlertEvent, Delivery
from projects.models import Project
from traces.models import UserRow

GONE = "a deleted user"


def forget_user(sender: Any, *, project_id: UUID, user_id: str, now: dt.datetime, **_: Any) -> None:
    """A rule about this user has nothing left to watch: it goes with its incidents and their messages. One of all
    projects only when no other project knows the id. Where others name the user as a cause, the name goes."""
    organization_id = Project.objects.values_list("organization_id", flat=True).get(pk=project_id)
    others = UserRow.objects.filter(project__organization=organization_id, user_id=user_id)
    where = Q(project=project_id)
    if not others.exclude(project=project_id).exists():
        where |= Q(project=None)
    rules = Alert.objects.filter(where, organization=organization_id, user_id=user_id)
    held = list(rules.select_for_update().order_by("pk"))
    _forget_incidents(list(AlertEvent.objects.filter(alert__in=held)), now)
    Alert.objects.filter(pk__in=[one.pk for one in held]).delete()
    _unname(project_id, organization_id, user_id)


def _forget_incidents(events: list[AlertEvent], now: dt.datetime) -> None:
    """With the messages that told several at once."""
    if not events:
        return
    ids = [str(one.pk) for one in events]
    Delivery.objects.filter(payload__extra__events__has_any_keys=ids).delete()
    announce(events, now)
    AlertEvent.objects.filter(pk__in=ids).delete()


def _unname(project_id: UUID, organization_id: UUID, user_id: str) -> None:
    """Incidents of the project's rules and of those of all projects, and their messages."""
    about = Q(project=project_id) | Q(project=None)
    named = {"dimension": "user", "value": user_id}
    events = AlertEvent.objects.filter(
        about, organization=organization_id, evidence__causes__contains=[named]
    )
    for event in events.select_for_update(of=("self",)):
        for cause in event.evidence["causes"]:
            if cause["dimension"] == "user" and cause["value"] == user_id:
                cause["value"] = GONE
        event.save(update_fields=["evidence", "updated_at"])
    messages = Delivery.objects.filter(
        organization=organization_id, payload__causes__contains=[["user", user_id]]
    )
    for message in messages.select_for_update(of=("self",)):
        causes = message.payload["causes"]
        message.payload["causes"] = [
            ["user", GONE, *one[2:]] if one[:2] == ["user", user_id] else one for one in causes
        ]
        message.save(update_fields=["payload"])
