"""`POST /api/v1/projects/{project}/costs`: bare records, exactly once by id."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from costs.models import CostRecord
from projects.models import Project
from tests.factories.projects import ProjectFactory
from tests.traces.spans import aggregate_sums, raw_sums
from tests.traces.uploads import START, everything, key_for, send_json
from traces.models import Span, Trace

pytestmark = pytest.mark.django_db


def record(record_id: str = "r1", **fields: Any) -> dict[str, Any]:
    return {
        "id": record_id,
        "occurred_at": START.isoformat(),
        "provider": "openai",
        "model": "gpt-5-mini",
        "input_tokens": 1000,
        "output_tokens": 100,
        **fields,
    }


def send(client: Client, key: str | None, project: Any, *records: Any) -> Any:
    return send_json(client, key, project, {"costs": list(records)}, door="costs")


def test_records_are_priced_stored_and_summed(client: Client, project: Project, key: str) -> None:
    answer = send(
        client, key, project,
        record("r1", user="u1", tags=["gold"], latency_ms=120),
        record("r2", model="acme-llama-70b", provider=""),
        record("r3", model=None, provider=None, input_tokens=None, output_tokens=None, cost_usd="0.0125"),
    )  # fmt: skip
    assert answer.status_code == 207
    assert [
        (
            r["id"],
            r["status"],
            r["result"],
            Decimal(r["cost_usd"]) if r["cost_usd"] else None,
            r["price_status"],
        )
        for r in answer.json()["results"]
    ] == [
        ("r1", 201, "stored", Decimal("0.00045"), "priced"),
        ("r2", 201, "stored", None, "unpriced"),
        ("r3", 201, "stored", Decimal("0.0125"), "client"),
    ]
    sums = aggregate_sums(project)
    assert sums == raw_sums(project)
    assert (sums["calls"], sums["unpriced"], sums["cost"]) == (3, 1, Decimal("0.01295"))
    assert aggregate_sums(project, "user", value="u1")["cost"] == Decimal("0.00045")
    assert aggregate_sums(project, "tag", value="gold")["calls"] == 1
    assert (Span.objects.count(), Trace.objects.count()) == (0, 0)


def test_the_same_id_again_changes_nothing(client: Client, project: Project, key: str) -> None:
    send(client, key, project, record("r1"))
    before = everything()
    earlier = (START - dt.timedelta(days=1)).isoformat()
    for repeat in (
        record("r1"),
        record("r1", input_tokens=9999),
        record("r1", occurred_at=earlier),
    ):
        (result,) = send(client, key, project, repeat).json()["results"]
        assert (result["id"], result["status"], result["result"]) == ("r1", 200, "duplicate")
    assert everything() == before


def test_results_stand_in_the_order_of_the_upload(
    client: Client, project: Project, key: str
) -> None:
    first, again = record("a", cost_usd="1"), record("a", cost_usd="5")
    found = send(client, key, project, record("b"), {}, first, again, record("b")).json()["results"]
    assert [(r["index"], r["id"], r["status"], r["result"]) for r in found] == [
        (0, "b", 201, "stored"),
        (1, "", 400, "rejected"),
        (2, "a", 201, "stored"),
        (3, "a", 200, "duplicate"),
        (4, "b", 200, "duplicate"),
    ]
    assert CostRecord.objects.get(project=project, record_id="a").client_cost_usd == 1


def test_the_same_id_in_another_project_is_its_own(
    client: Client, project: Project, key: str
) -> None:
    other = ProjectFactory()
    send(client, key, project, record("r1"))
    (result,) = send(client, key_for(other)[1], other, record("r1", input_tokens=2000)).json()[
        "results"
    ]
    assert result["result"] == "stored"
    assert (aggregate_sums(project)["input"], aggregate_sums(other)["input"]) == (1000, 2000)


def test_bad_records_are_named_and_the_rest_stored(
    client: Client, project: Project, key: str
) -> None:
    answer = send(
        client, key, project,
        record("r1"), record("r2", input_tokens=-1), record("t/s"), {"id": "r4"}, 5,
        record("r5", occurred_at=None), record("r6", cost_usd="-1"), record("r7"),
    )  # fmt: skip
    found = answer.json()["results"]
    assert [(r["id"], r["result"]) for r in found if r["status"] == 201] == [
        ("r1", "stored"),
        ("r7", "stored"),
    ]
    refused = {r["index"]: r for r in found if r["status"] == 400}
    assert sorted(refused) == [1, 2, 3, 4, 5, 6]
    assert {r["result"] for r in refused.values()} == {"rejected"}
    assert refused[1]["detail"].startswith("costs[1].input_tokens is -1: ")
    assert CostRecord.objects.filter(project=project).count() == 2
    assert aggregate_sums(project) == raw_sums(project)


def test_a_bare_record_never_meets_a_step(client: Client, project: Project, key: str) -> None:
    """Steps are recorded as `trace/span`, which no bare id can spell."""
    (result,) = send(client, key, project, record("t1/s1")).json()["results"]
    assert (result["status"], result["result"]) == (400, "rejected")


def test_without_a_key_or_for_another_project_denied(
    client: Client, project: Project, key: str
) -> None:
    other = ProjectFactory()
    _, reader = key_for(project, scopes=["read"])
    before = everything()
    statuses = [
        send(client, None, project, record()).status_code,
        send(client, key, other, record()).status_code,
        send(client, reader, project, record()).status_code,
        send_json(
            client, key, project, {"costs": [record()]}, door="costs", content_type="text/plain"
        ).status_code,
        send_json(client, key, project, {"traces": []}, door="costs").status_code,
    ]
    assert statuses == [401, 404, 403, 415, 400]
    assert everything() == before


def test_the_key_that_sent_it_is_a_dimension(client: Client, project: Project) -> None:
    stored, raw = key_for(project)
    send(client, raw, project, record("r1"))
    assert CostRecord.objects.get(project=project).api_key_id == stored.pk
    assert aggregate_sums(project, "api_key", value=str(stored.pk))["calls"] == 1
