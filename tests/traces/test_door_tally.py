"""What the doors were sent is accounted for: sent = stored + updated + duplicate + rejected by reason."""

import datetime as dt
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from projects.models import ApiKey, Project
from tests.factories.projects import ProjectFactory
from tests.traces.uploads import (
    JSON,
    START,
    call_span,
    key_for,
    ns,
    otlp,
    otlp_json,
    otlp_json_span,
    send_json,
    send_otlp,
    step,
    trace,
)
from traces.ingest import tally
from traces.models import IngestTally

pytestmark = pytest.mark.django_db


def tallied(project: Project) -> dict[tuple[str, str, str, str], tuple[int, int]]:
    """(door, dialect, outcome, reason) → (items, batches), over all minutes."""
    found: dict[tuple[str, str, str, str], tuple[int, int]] = {}
    for row in IngestTally.objects.filter(project=project):
        key = (row.door, row.dialect, row.outcome, row.reason)
        items, batches = found.get(key, (0, 0))
        found[key] = (items + row.items, batches + row.batches)
    return found


def test_otlp_counts_each_span_once_by_what_became_of_it(
    client: Client, project: Project, key: str
) -> None:
    bad = call_span(3, trace_id=b"short")
    old = call_span(4, start_time_unix_nano=ns(START - dt.timedelta(days=3000)))
    body = otlp(call_span(1), call_span(2), call_span(2), bad, old)
    send_otlp(client, key, body)
    assert tallied(project) == {
        ("otlp", "gen_ai", "stored", ""): (2, 1),
        ("otlp", "gen_ai", "duplicate", ""): (1, 1),
        ("otlp", "", "rejected", "invalid_trace_id"): (1, 1),
        ("otlp", "", "rejected", "start_outside_window"): (1, 1),
    }
    send_otlp(client, key, body)
    assert tallied(project) == {
        ("otlp", "gen_ai", "stored", ""): (2, 1),
        ("otlp", "gen_ai", "duplicate", ""): (4, 2),
        ("otlp", "", "rejected", "invalid_trace_id"): (2, 2),
        ("otlp", "", "rejected", "start_outside_window"): (2, 2),
    }


def test_a_running_step_that_ends_is_updated(client: Client, project: Project, key: str) -> None:
    send_otlp(client, key, otlp(call_span(1, end_time_unix_nano=0)))
    send_otlp(client, key, otlp(call_span(1)))
    assert tallied(project) == {
        ("otlp", "gen_ai", "stored", ""): (1, 1),
        ("otlp", "gen_ai", "updated", ""): (1, 1),
    }


def test_the_json_door_counts_steps_and_the_trace_itself(
    client: Client, project: Project, key: str
) -> None:
    body = {
        "traces": [
            trace("good", step("s1"), step("s1")),  # 3 sent: 2 stored, 1 repeated
            trace("half", step("s1"), step("s2", input_tokens=-1)),  # 3 sent: 1 rejected
            trace("", step("s1")),  # 2 sent, all refused with the item
            trace("own", step("own")),  # the step stands for the trace: 1 sent
            "not an object",  # 1 sent
        ]
    }
    send_json(client, key, project, body)
    assert tallied(project) == {
        ("json", "json", "stored", ""): (5, 1),
        ("json", "", "duplicate", ""): (1, 1),
        ("json", "", "rejected", "invalid_field"): (4, 1),
    }


def test_the_cost_door_counts_records(client: Client, project: Project, key: str) -> None:
    cost = {"id": "c1", "model": "gpt-5-mini", "occurred_at": START.isoformat(), "cost_usd": 1}
    body = {"costs": [cost, cost, {"id": "c2"}]}
    send_json(client, key, project, body, door="costs")
    send_json(client, key, project, body, door="costs")
    assert tallied(project) == {
        ("costs", "", "stored", ""): (1, 1),
        ("costs", "", "duplicate", ""): (3, 2),
        ("costs", "", "rejected", "invalid_field"): (2, 2),
    }


def test_a_batch_of_which_everything_is_refused_is_counted(
    client: Client, project: Project, key: str
) -> None:
    send_otlp(client, key, otlp(call_span(1, span_id=b"")))
    assert tallied(project) == {("otlp", "", "rejected", "invalid_span_id"): (1, 1)}


@pytest.mark.parametrize(
    ("body", "headers", "reason"),
    [
        (b"\xff\xff", {}, "invalid_body"),
        (b"{}", {"content_type": "text/plain"}, "unsupported_media_type"),
        (b"x", {"Content-Encoding": "br"}, "unsupported_encoding"),
        (b"x" * 2_000, {}, "body_too_large"),
    ],
)
def test_a_body_refused_as_a_whole_is_a_batch_without_items(
    client: Client,
    project: Project,
    key: str,
    settings: Any,
    body: bytes,
    headers: dict[str, str],
    reason: str,
) -> None:
    settings.LLMLAB_INGEST_MAX_BODY = 1_000
    assert 400 <= send_otlp(client, key, body, **headers).status_code < 500
    assert tallied(project) == {("otlp", "", "rejected", reason): (0, 1)}


def test_too_many_items_are_counted_where_their_number_is_known(
    client: Client, project: Project, key: str, settings: Any
) -> None:
    settings.LLMLAB_INGEST_MAX_SPANS = 2
    steps = [step(f"s{n}") for n in range(3)]
    assert send_json(client, key, project, {"traces": [trace("t", *steps)]}).status_code == 413
    spans = [otlp_json_span(f"eee19b7ec3c1b17{n}") for n in range(3)]
    assert send_otlp(client, key, otlp_json(*spans), content_type=JSON).status_code == 413
    assert tallied(project) == {
        ("json", "", "rejected", "too_many_items"): (4, 1),
        ("otlp", "", "rejected", "too_many_items"): (3, 1),
    }


def test_rate_limit_archive_and_scope_are_reasons(client: Client, settings: Any) -> None:
    archived = ProjectFactory(archived=True)
    send_otlp(client, key_for(archived)[1], otlp(call_span()))
    assert tallied(archived) == {("otlp", "", "rejected", "project_archived"): (0, 1)}
    reader, limited = ProjectFactory(), ProjectFactory()
    send_otlp(client, key_for(reader, scopes=[ApiKey.Scope.READ])[1], otlp(call_span()))
    assert tallied(reader) == {("otlp", "", "rejected", "missing_scope"): (0, 1)}
    settings.LLMLAB_INGEST_RATE_PER_MINUTE = 1
    _, raw = key_for(limited)
    for number in (1, 2, 3):
        send_otlp(client, raw, otlp(call_span(number)))
    assert tallied(limited) == {
        ("otlp", "gen_ai", "stored", ""): (1, 1),
        ("otlp", "", "rejected", "rate_limited"): (0, 2),
    }


def test_strangers_and_other_projects_are_not_counted_denied(
    client: Client, project: Project, key: str
) -> None:
    other = ProjectFactory()
    send_otlp(client, "llmlab_sk_unknown", otlp(call_span()))
    send_otlp(client, None, otlp(call_span()))
    assert send_json(client, key, other, {"traces": [trace("t1", step())]}).status_code == 404
    assert IngestTally.objects.count() == 0


def test_a_refusal_does_not_fail_when_it_cannot_be_counted(project: Project) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE traces_ingesttally RENAME TO away")
        tally.note_refusal(
            project_id=project.pk, door="otlp", reason="invalid_body", now=START, items=1
        )
        cursor.execute("ALTER TABLE away RENAME TO traces_ingesttally")
    assert IngestTally.objects.count() == 0


def test_unknown_reasons_and_made_up_dialects_stay_few(project: Project) -> None:
    tally.note_refusal(project_id=project.pk, door="otlp", reason="x" * 500, now=START)
    counts = tally.Counts({(f"d{n:03}", "stored", ""): 1 for n in range(100)})
    with connection.cursor() as cursor:
        tally.write(cursor, project_id=project.pk, door="otlp", counts=counts, now=START)
    found = tallied(project)
    assert found["otlp", "", "rejected", "other"] == (0, 1)
    assert found["otlp", "other", "stored", ""] == (80, 1)
    assert len(found) == tally.MAX_DIALECTS + 2


def test_minutes_become_hours_after_two_days(project: Project) -> None:
    other = ProjectFactory()
    counts = tally.Counts({("gen_ai", "stored", ""): 5})
    old = START.replace(minute=0, second=0) - dt.timedelta(days=3)
    with connection.cursor() as cursor:
        for at in (old, old + dt.timedelta(minutes=7), old + dt.timedelta(minutes=61), START):
            for owner in (project, other):
                tally.write(cursor, project_id=owner.pk, door="otlp", counts=counts, now=at)
    assert tally.compact(project_id=project.pk, now=START) == 2
    rows = IngestTally.objects.filter(project=project).order_by("minute")
    assert list(rows.values_list("minute", "items", "batches")) == [
        (old, 10, 2),
        (old + dt.timedelta(hours=1), 5, 1),
        (START.replace(second=0), 5, 1),
    ]
    assert IngestTally.objects.filter(project=other).count() == 4
    assert tally.compact(project_id=project.pk, now=START) == 0
    assert tally.compact_all(now=START) == 2
    assert IngestTally.objects.filter(project=other).count() == 3
