"""`/healthz`, `/readyz` and `/metrics`, with dependencies that are there and that are not."""

import datetime as dt
import time
from collections.abc import Iterator

import pytest
from django.conf import settings
from django.db import connections
from django.test import Client
from django.utils import timezone

from config.embedded import free_port
from core import metrics
from core.health import missing_migrations
from core.models import OutboxItem


@pytest.fixture
def no_database() -> Iterator[None]:
    """Point Django's connection at a port nobody listens on."""
    wrapper = connections["default"]
    wrapper.close()
    port = wrapper.settings_dict["PORT"]
    wrapper.settings_dict["PORT"] = free_port()
    yield
    wrapper.settings_dict["PORT"] = port


def test_healthz_answers_without_any_dependency(client: Client) -> None:
    answer = client.get("/healthz")
    assert answer.status_code == 200
    said = answer.json()
    told = dt.datetime.fromisoformat(said.pop("time"))
    assert abs(timezone.now() - told) < dt.timedelta(seconds=5)
    assert said == {"status": "ok", "service": "llmlab", "version": settings.LLMLAB_VERSION}


def test_healthz_takes_no_post(client: Client) -> None:
    assert client.post("/healthz").status_code == 405


@pytest.mark.django_db
def test_readyz_names_every_dependency(client: Client) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ok",
        "checks": {"database": {"status": "ok"}, "redis": {"status": "ok"}},
    }


@pytest.mark.django_db
def test_readyz_without_redis_is_degraded_but_ready(client: Client, settings: object) -> None:
    settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"  # type: ignore[attr-defined]
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["status"] == "degraded"
    assert answer.json()["checks"]["redis"] == {
        "status": "degraded",
        "detail": "Redis does not answer (ConnectionError): live updates and background work wait.",
    }


@pytest.mark.django_db(transaction=True)
def test_readyz_without_database_is_503_within_three_seconds(
    client: Client, no_database: None
) -> None:
    started = time.monotonic()
    answer = client.get("/readyz")
    assert time.monotonic() - started < 3
    assert answer.status_code == 503
    assert answer["Retry-After"] == "2"
    body = answer.json()
    assert (body["code"], body["fields"]) == ("not_ready", ["database"])
    assert body["detail"] == "Not ready: PostgreSQL does not answer (OperationalError)."


def test_missing_migration_is_named() -> None:
    every = set(missing_migrations(set()))
    assert "core.0001_initial" in every
    applied = {tuple(name.split(".", 1)) for name in every - {"core.0001_initial"}}
    assert missing_migrations(applied) == ["core.0001_initial"]  # type: ignore[arg-type]


@pytest.mark.django_db
def test_metrics_show_requests_outbox_and_partitions(client: Client) -> None:
    OutboxItem.objects.create(topic="t", key="open", available_at=timezone.now())
    OutboxItem.objects.create(
        topic="t", key="dead", available_at=timezone.now(), dead_at=timezone.now()
    )
    metrics.record_request("GET", 200, 0.01)
    answer = client.get("/metrics")
    assert answer.status_code == 200
    lines = answer.content.decode().splitlines()
    assert "llmlab_database_up 1.0" in lines
    assert "llmlab_outbox_open 1.0" in lines
    assert "llmlab_outbox_dead 1.0" in lines
    assert 'llmlab_partitions_ahead{table="traces_span"} 3.0' in lines
    assert any(
        line.startswith('llmlab_http_requests_total{method="GET",status="200"}') for line in lines
    )


@pytest.mark.django_db(transaction=True)
def test_metrics_without_database_still_answer(client: Client, no_database: None) -> None:
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert "llmlab_database_up 0.0" in answer.content.decode().splitlines()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("token", "request_headers", "expected"),
    [
        ("", {}, 200),
        ("", {"REMOTE_ADDR": "10.1.2.3"}, 403),
        ("", {"HTTP_X_FORWARDED_FOR": "127.0.0.1"}, 403),
        ("s3cret", {}, 403),
        ("s3cret", {"HTTP_AUTHORIZATION": "Bearer wrong"}, 403),
        ("s3cret", {"HTTP_AUTHORIZATION": "Bearer s3cret", "REMOTE_ADDR": "10.1.2.3"}, 200),
    ],
)
def test_metrics_are_for_this_machine_or_the_token(
    client: Client, settings: object, token: str, request_headers: dict[str, str], expected: int
) -> None:
    settings.LLMLAB_METRICS_TOKEN = token  # type: ignore[attr-defined]
    answer = client.get("/metrics", **request_headers)  # type: ignore[arg-type]
    assert answer.status_code == expected
    if expected == 403:
        assert answer.json()["code"] == "forbidden"
