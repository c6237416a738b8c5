"""What writing a rule does to its incidents: one that stops watching ends them, other limits are judged anew."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from alerts.deciding import decide
from alerts.measures.base import Reading
from alerts.models import Alert, AlertEvent, AlertState
from alerts.rules import services
from alerts.rules.drafts import read_draft
from alerts.rules.services import By

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("errors")]
RULE = {
    "name": "Errors", "kind": "error_rate", "levels": [{"limit": "5", "severity": "warning"}],
    "model": "gpt-5",
}  # fmt: skip


@pytest.fixture
def fired(acme: Any, now: dt.datetime) -> Alert:
    """A rule with an open incident."""
    draft = read_draft(acme.organization.pk, RULE)
    alert = services.create_rule(draft=draft, by=By(acme.admin.user), now=now)
    decide([Reading(alert, Decimal(7), sample=100)], now=now)
    assert AlertEvent.objects.get().state == "firing"
    return alert


def change(alert: Alert, now: dt.datetime, **values: Any) -> None:
    draft = read_draft(alert.organization_id, RULE | values)
    services.change_rule(
        organization_id=alert.organization_id, rule_id=alert.pk, draft=draft, by=By(), now=now
    )


@pytest.mark.parametrize(
    ("values", "state"),
    [
        ({"model": "gpt-5-mini"}, "resolved"),
        ({"window_minutes": 60}, "resolved"),
        ({"is_enabled": False}, "resolved"),
        ({"levels": [{"limit": "6", "severity": "error"}]}, "firing"),
        ({"name": "Other", "note": "Call Ines."}, "firing"),
    ],
)
def test_a_rule_that_watches_something_else_ends_its_incidents(fired, now, values, state) -> None:
    change(fired, now, **values)
    event = AlertEvent.objects.get()
    assert event.state == state
    assert bool(event.resolve_reason) == (state == "resolved")
    assert AlertState.objects.get().status == ("ok" if state == "resolved" else "firing")


def test_switching_off_and_deleting_end_incidents_and_keep_them(fired, now) -> None:
    ids = {"organization_id": fired.organization_id, "rule_id": fired.pk}
    for _ in range(2):
        services.enable_rule(**ids, is_enabled=False, by=By(), now=now)
    assert AlertEvent.objects.get().resolve_reason == "The rule was switched off."
    services.enable_rule(**ids, is_enabled=True, by=By(), now=now)
    later = now + dt.timedelta(hours=1)
    decide([Reading(fired, Decimal(7), sample=100)], now=later)
    services.delete_rule(**ids, by=By(), now=later)
    found = AlertEvent.objects.order_by("fired_at").last()
    assert found is not None
    assert (found.alert, found.name, found.state) == (None, "Errors", "resolved")
    assert AlertEvent.objects.count() == 2
    trail = fired.organization.audit_events.filter(action__startswith="alerts.alert.")
    assert sorted(one.action.rpartition(".")[2] for one in trail) == [
        "created", "deleted", "disabled", "enabled",
    ]  # fmt: skip
