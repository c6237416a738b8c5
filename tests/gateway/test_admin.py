"""Operators see every table of the gateway: lists and rows open, ask little, and show nothing that is sealed."""

import datetime as dt
from types import SimpleNamespace
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.db.models import BinaryField, Model
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from core.ids import uuid7
from gateway import models as gateway
from projects.models import Project
from tests.factories.accounts import UserFactory
from tests.factories.gateway import (
    ConnectionFactory,
    ConnectionKeyFactory,
    LimitFactory,
    RouteFactory,
)
from tests.factories.projects import ProjectFactory

pytestmark = pytest.mark.django_db
SECRET = b"sealed-words-of-a-customer"
# Rows that differ in what the admin takes for the key would be needed to open one.
LISTED = {"CounterRow", "ThresholdRow", "SumRow"}


@pytest.fixture
def operator() -> Client:
    client = Client()
    client.force_login(UserFactory.create(email="op@example.com", operator=True))
    return client


def fill(project: Project, now: dt.datetime) -> None:
    """A row in every table."""
    organization = project.organization
    connection = ConnectionFactory.create(organization=organization)
    ConnectionKeyFactory.create(connection=connection)
    RouteFactory.create(project=project)
    limit = LimitFactory.create(organization=organization)
    later, mine = now + dt.timedelta(hours=1), {"project": project}
    call = {"dialect": "openai.chat", "asked_model": "gpt-4o"}
    kept = {"key": uuid7().hex, "scope": "", "dialect": "openai.chat", "model": "gpt-4o"}
    gateway.GatewaySettings.objects.create(**mine)
    gateway.ConfigVersion.objects.update_or_create(organization=organization)
    gateway.JobWebhook.objects.create(sealed=SECRET, place="https://example.com/…", **mine)
    gateway.LLMRequest.objects.create(
        id=uuid7(),
        accepted_at=now,
        state="done",
        status_code=200,
        trace_id="t",
        span_id="s",
        **call,
        **mine,
    )
    gateway.AsyncJob.objects.create(
        id=uuid7(),
        api_key_id=uuid7(),
        fingerprint="f",
        sealed_call=SECRET,
        sealed_answer=SECRET,
        available_at=now,
        deadline_at=later,
        expires_at=later,
        **call,
        **mine,
    )
    gateway.CachedResponse.objects.create(
        id=uuid7(), sealed=SECRET, created_at=now, expires_at=later, **kept, **mine
    )
    gateway.ShadowCheck.objects.create(
        id=uuid7(), cached_id=uuid7(), similarity=1, threshold=1, checked_at=now, **mine
    )
    gateway.CacheThreshold.objects.create(
        route="smart", threshold=0.99, before=0.97, checked=9, wrong=1, tightened_at=now, **mine
    )
    gateway.LimitCounter.objects.create(
        organization=organization, key=f"{limit.pk.hex}:x", window_start=now
    )
    gateway.Reservation.objects.create(
        organization=organization, call_id=uuid7(), lines=[], made_at=now, expires_at=later, **mine
    )
    gateway.CircuitOpening.objects.create(connection=connection, model="gpt-4o", opened_at=now)
    place = {"id": uuid7(), "wire": "openai", "connection_id": connection.pk, "created_at": now}
    gateway.ProviderFile.objects.create(provider_id=f"file-{uuid7().hex}", **place, **mine)
    gateway.Batch.objects.create(dialect="openai.chat", provider="openai", **place, **mine)
    zeros = dict.fromkeys(
        (
            "calls",
            "failed",
            "tried",
            "fell_back",
            "limited",
            "exact",
            "semantic",
            "missed",
            "exact_usd",
            "semantic_usd",
            "unpriced_hits",
        ),
        0,
    )
    gateway.CallSum.objects.create(
        step=1, at=now.replace(second=0, microsecond=0), model="gpt-4o", **zeros, **mine
    )


def registered() -> list[type[Model]]:
    found = apps.get_app_config("gateway").get_models()
    return [model for model in found if admin.site.is_registered(model)]


def test_every_table_is_there_and_nothing_that_is_sealed() -> None:
    shown = {model._meta.db_table for model in registered()}
    assert shown == {model._meta.db_table for model in apps.get_app_config("gateway").get_models()}
    for model in registered():
        options = admin.site._registry[model]
        named = {*(options.fields or [field.name for field in model._meta.fields])}
        binary = {field.name for field in model._meta.fields if isinstance(field, BinaryField)}
        assert not named & binary or not model._meta.get_field("sealed").editable, model


def test_lists_and_rows_open_and_ask_little(
    operator: Client, acme: SimpleNamespace,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:  # fmt: skip
    now = timezone.now()
    for number in range(3):
        organization = acme.organization if number else ProjectFactory.create().organization
        fill(ProjectFactory.create(organization=organization), now)
    for model in registered():
        base = f"/admin/gateway/{model._meta.model_name}/"
        with django_assert_max_num_queries(8):
            listed = operator.get(base)
        assert listed.status_code == 200, base
        assert listed.context["cl"].result_count >= 2, base
        assert operator.get(base, {"q": str(uuid7()), "days": "7"}).status_code in (200, 302), base
        if model.__name__ in LISTED:
            continue
        row = listed.context["cl"].result_list[0]
        with django_assert_max_num_queries(8):
            opened = operator.get(f"{base}{row.pk}/change/")
        assert opened.status_code == 200, base
        assert b"sealed-words" not in opened.content, base
        options, request = admin.site._registry[model], listed.wsgi_request
        may = (
            options.has_add_permission,
            options.has_change_permission,
            options.has_delete_permission,
        )
        assert not any(ask(request) for ask in may), base


def test_a_call_is_found_by_id_and_by_model(operator: Client, acme: SimpleNamespace) -> None:
    project, now = ProjectFactory.create(organization=acme.organization), timezone.now()
    old = now - dt.timedelta(days=3)
    values: dict[str, Any] = {"project": project, "dialect": "openai.chat", "state": "done"}
    values |= {"status_code": 200, "trace_id": "t", "span_id": "s"}
    rows = [
        gateway.LLMRequest.objects.create(id=uuid7(), accepted_at=at, asked_model=name, **values)
        for at, name in ((now, "gpt-4o"), (now, "opus"), (old, "gpt-old"))
    ]
    base = "/admin/gateway/llmrequest/"

    def listed(**query: str) -> list[Any]:
        return [row.pk for row in operator.get(base, query).context["cl"].result_list]

    assert listed(q="gpt") == [rows[0].pk]
    assert listed(q=str(rows[1].pk)) == [rows[1].pk]
    assert listed(q="gpt", days="7") == [rows[0].pk, rows[2].pk]
    place = f"{base}{rows[2].pk}/change/"
    assert operator.get(place).status_code == 302
    assert operator.get(place, {"at": old.isoformat()}).status_code == 200
