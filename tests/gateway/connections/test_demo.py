"""The demo is connected to its simulator; the menu and the tabs lead to the pages there are."""

from types import SimpleNamespace
from typing import Any

import pytest
from django.http import HttpRequest
from django.template import Context, Template
from django.test import override_settings
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks

from gateway.connections.demo import PLACES, connect_simulator
from gateway.models import Connection, Limit
from gateway.quotas.demo import seed_limits
from gateway.templatetags import gateway as tags
from tests.factories.projects import ProjectFactory

pytestmark = pytest.mark.django_db


def test_the_demo_is_connected_once(
    acme: SimpleNamespace, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    project = ProjectFactory.create(organization=acme.organization)
    given: dict[str, Any] = {"project": project, "owner": acme.owner.user, "now": timezone.now()}
    connect_simulator(**given)
    assert not Connection.objects.exists()
    simulator = "http://127.0.0.1:9"
    with override_settings(LLMLAB_DEMO_SIMULATOR=simulator, LLMLAB_OUTBOUND_ALLOW=["127.0.0.1:9"]):
        with django_capture_on_commit_callbacks() as rings:
            connect_simulator(**given)
        connect_simulator(**given)
    rows = Connection.objects.order_by("created_at", "pk")
    assert [row.name for row in rows] == [name for name, _, _ in PLACES]
    assert [row.base_url for row in rows] == [
        f"{simulator}/v1",
        simulator,
        f"{simulator}/unsteady/v1",
    ]
    assert len(rings) == 3
    rows[0].delete()
    with override_settings(LLMLAB_DEMO_SIMULATOR=simulator):
        connect_simulator(**given)
    assert Connection.objects.count() == 2
    for _ in range(2):
        seed_limits(**given)
    assert list(Limit.objects.order_by("name").values_list("value", "is_hard")) == [
        ("batch", True), ("", False),
    ]  # fmt: skip


def test_tabs_are_of_pages_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    shell = SimpleNamespace(
        organization=SimpleNamespace(slug="acme"), project=SimpleNamespace(ref="checkout")
    )
    there = [("a", "A", "projects:settings", False), ("b", "B", "gateway:nowhere", False),
             ("connections", "Connections", "gateway:connection_list", True)]  # fmt: skip
    monkeypatch.setattr(tags, "_TABS", there)
    assert [place.tab for place in tags.places_of(shell)] == ["a", "connections"]
    page = Template('{% include "gateway/_tabs.html" with tab="connections" %}').render(
        Context({"shell": shell, "request": HttpRequest()})
    )
    assert 'href="/organizations/acme/gateway/connections/" aria-current="page"' in page
    nobody = SimpleNamespace(organization=None, project=None)
    assert tags.places_of(nobody) == []
