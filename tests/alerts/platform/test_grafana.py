"""What deploy/grafana asks for is on `/metrics`, and its limits are those of the checks."""

import datetime as dt
import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings
from django.test import Client
from django.utils import timezone
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from alerts.models import WatchState
from alerts.platform.checks import CHECKS
from alerts.platform.watching import PENDING
from core import heartbeats, metrics
from core.doctor.processes import QUEUES
from tests.factories.projects import ProjectFactory
from traces.ingest import tally

GRAFANA = Path(settings.BASE_DIR) / "deploy" / "grafana"
NAME = re.compile(r"\bllmlab_[a-z0-9_]+")
# The first comparison is the limit; others say how much there must be to judge.
LIMIT = re.compile(r"(>=|<=) (\d+)")


def rules() -> list[dict[str, Any]]:
    document = yaml.safe_load((GRAFANA / "prometheus-rules.yaml").read_text(encoding="utf-8"))
    return [rule for group in document["groups"] for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((GRAFANA / "llmlab-dashboard.json").read_text("utf-8"))
    return found


def asked_for() -> set[str]:
    expressions = [rule["expr"] for rule in rules()]
    expressions += [
        one["expr"] for panel in dashboard()["panels"] for one in panel.get("targets", ())
    ]
    return {name for text in expressions for name in NAME.findall(text)}


def exposed(client: Client) -> dict[str, str]:
    """Each sample's line by its name."""
    answer = client.get("/metrics")
    assert answer.status_code == 200
    lines = [one for one in answer.content.decode().splitlines() if not one.startswith("#")]
    return {re.split(r"[{ ]", one, maxsplit=1)[0]: one for one in lines}


@pytest.mark.django_db
def test_every_figure_that_is_asked_for_is_exposed(client: Client) -> None:
    now = timezone.now()
    metrics.record_request("GET", 200, 0.01)
    metrics.tasks_total.labels("t", "SUCCESS").inc()
    heartbeats.beat("w1", list(QUEUES), now=now)
    tally.note_refusal(
        project_id=ProjectFactory.create().pk, door="json", reason="invalid_body", now=now
    )
    schedule = IntervalSchedule.objects.create(every=60, period="seconds")
    PeriodicTask.objects.create(name="x", task="x", interval=schedule, last_run_at=now)
    WatchState.objects.create(kind="redis", evaluated_at=now - dt.timedelta(seconds=30))
    found = exposed(client)
    names = asked_for()
    assert len(names) >= 28
    assert sorted(names - set(found)) == []
    assert found["llmlab_queues_unserved"] == "llmlab_queues_unserved 0.0"
    assert 30 <= float(found["llmlab_watch_age_seconds"].split()[1]) < 60
    assert 0 <= float(found["llmlab_beat_age_seconds"].split()[1]) < 30


@pytest.mark.django_db
def test_without_redis_its_figures_are_missing_and_it_is_said_to_be_away(
    client: Client, settings: Any
) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    found = exposed(client)
    assert found["llmlab_redis_up"] == "llmlab_redis_up 0.0"
    assert "llmlab_queue_depth" not in found
    assert found["llmlab_deliveries_dead"] == "llmlab_deliveries_dead 0.0"


def test_each_check_has_one_rule_with_its_limit() -> None:
    by_check = {rule["labels"]["check"]: rule for rule in rules() if "check" in rule["labels"]}
    assert sorted(by_check) == sorted(check.kind for check in CHECKS)
    for check in CHECKS:
        rule = by_check[check.kind]
        found = LIMIT.search(rule["expr"])
        assert found is not None
        sign, limit = found.groups()
        assert (sign, Decimal(limit)) == (">=" if check.is_above else "<=", check.limit), check.kind
        assert rule["labels"]["severity"] == check.severity
        assert rule["for"] == f"{PENDING.seconds // 60}m"
        if check.is_sampled:
            least = LIMIT.findall(rule["expr"])[1]
            assert least == (">=", str(settings.LLMLAB_WATCH_LEAST_REQUESTS))


def test_prometheus_is_told_when_web_scheduler_worker_or_the_watch_itself_is_gone() -> None:
    expressions = {rule["alert"]: rule["expr"] for rule in rules()}
    assert expressions["LLMLabWebGone"] == "absent(llmlab_database_up)"
    assert "absent(llmlab_beat_age_seconds)" in expressions["LLMLabBeatGone"]
    assert "absent(llmlab_watch_age_seconds)" in expressions["LLMLabWatchSilent"]
    assert "llmlab_queues_unserved" in expressions["LLMLabWorkerGone"]
    assert all(rule["annotations"]["description"] for rule in rules())


def test_panels_have_places_of_their_own_and_a_data_source_to_choose() -> None:
    panels = dashboard()["panels"]
    assert len({one["id"] for one in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for one in panels:
        at = one["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert at["x"] + at["w"] <= 24
        assert not cells & taken, one["title"]
        taken |= cells
        assert one["type"] == "row" or one["datasource"]["uid"] == "${datasource}"
    assert dashboard()["templating"]["list"][0]["type"] == "datasource"
