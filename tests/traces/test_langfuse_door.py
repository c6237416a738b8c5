"""Langfuse's batch door: partial events in any order become exact steps, and every one is answered for."""

import datetime as dt
import itertools
import json
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from costs.models import CostRecord
from projects.models import Project
from tests.factories.projects import ProjectFactory
from tests.traces.langfuse_events import at, created, ended, event, send, send_body, told
from tests.traces.spans import assert_ledger_is_exact
from tests.traces.test_door_tally import tallied
from tests.traces.uploads import START, everything, gzipped, key_for
from traces.langfuse import state
from traces.models import LangfuseItem, Score, Span, Trace
from traces.removal import delete_trace
from traces.selectors.detail import step_content

pytestmark = pytest.mark.django_db
COST = Decimal("0.00045")


def spans_of(project: Project) -> dict[str, Span]:
    return {span.span_id: span for span in Span.objects.filter(project=project)}


def test_a_trace_with_a_generation(client: Client, project: Project, key: str) -> None:
    trace = event(
        "trace-create", id="t1", name="refund", userId="u1", sessionId="s1", tags=["b", "a"],
        release="2.1", environment="staging", metadata={"plan": "pro"}, input="?", timestamp=at(0),
    )  # fmt: skip
    span = event("span-create", 0.5, id="s", traceId="t1", name="step", startTime=at(0.5))
    generation = created(
        parentObservationId="s",
        modelParameters={"temperature": 0.5},
        promptName="p",
        promptVersion=3,
    )
    last = [ended(completionStartTime=at(1.5)), event("span-update", 3, id="s", endTime=at(3))]

    successes, errors = told(send(client, key, trace, span, generation, *last))

    assert (len(successes), errors) == (5, [])
    stored = Trace.objects.get(project=project)
    assert (stored.trace_id, stored.name, stored.user_id, stored.session_id) == (
        "t1",
        "refund",
        "u1",
        "s1",
    )
    assert (stored.tags, stored.release, stored.environment) == (["a", "b"], "2.1", "staging")
    assert (stored.status, stored.span_count, stored.call_count) == ("ok", 3, 1)
    assert (stored.cost_usd, stored.duration_ms, stored.metadata) == (COST, 3000.0, {"plan": "pro"})
    spans = spans_of(project)
    assert {key: (s.kind, s.parent_span_id) for key, s in spans.items()} == {
        "t1": ("chain", ""), "s": ("span", "t1"), "g1": ("llm", "s"),
    }  # fmt: skip
    assert (spans["g1"].duration_ms, spans["g1"].first_token_ms) == (1000.0, 500.0)
    record = CostRecord.objects.get(project=project)
    assert (record.cost_usd, record.user_id, record.session_id) == (COST, "u1", "s1")
    assert (record.prompt_version, record.environment, record.price_status) == (
        "p@3",
        "staging",
        "priced",
    )
    assert set(record.tags) == {"a", "b"}
    content = step_content(project, spans["g1"]).content
    assert content["output"] == [{"role": "assistant", "content": "So much."}]
    assert content["parameters"] == {"temperature": 0.5}
    assert_ledger_is_exact(project)


def final(project: Project) -> dict[str, Any]:
    """What is stored in the end, but for when and how often it was written."""
    left_out = {"seq", "placed_seq", "received_at"}
    names = [
        f.attname for f in Span._meta.concrete_fields if f.attname not in left_out | {"project_id"}
    ]
    spans = list(Span.objects.filter(project=project).order_by("span_id"))
    records = CostRecord.objects.filter(project=project).order_by("trace_id", "span_id")
    return {
        "spans": [{name: getattr(span, name) for name in names} for span in spans],
        "content": [step_content(project, span).content for span in spans],
        "records": list(
            records.values("trace_id", "span_id", "cost_usd", "user_id", "session_id", "tags", "environment",
                           "occurred_at", "latency_ms", "model", "input_tokens", "output_tokens")
        ),
        "traces": list(
            Trace.objects.filter(project=project).values(
                "trace_id", "name", "user_id", "status", "cost_usd", "span_count", "call_count", "tags",
                "duration_ms", "started_at", "ended_at", "input_tokens", "metadata", "root_span_id", "strip",
            )
        ),
    }  # fmt: skip


def story() -> list[dict[str, Any]]:
    return [
        event("trace-create", 0, id="t1", name="first", timestamp=at(0), metadata={"a": 1, "b": 1}),
        created(metadata={"x": 1}),
        ended(metadata={"y": 2}),
        event("trace-create", 3, id="t1", name="last", userId="u1", tags=["x"], metadata={"b": 2}),
        event("generation-update", 4, id="g1", traceId="t1", output="More.", level="WARNING"),
    ]


def test_the_order_of_events_and_batches_changes_nothing(client: Client) -> None:
    events = story()
    orders = list(itertools.permutations(events))
    wanted = None
    for number, order in enumerate(orders[:: len(orders) // 24]):
        project = ProjectFactory()
        raw = key_for(project)[1]
        parts = [order[:2], order[2:]] if number % 3 == 0 else [[one] for one in order]
        if number == 0:
            parts = [order]
        for part in parts:
            assert told(send(client, raw, *part))[1] == []
        found = final(project)
        wanted = wanted or found
        assert found["traces"] == wanted["traces"], parts
        assert found == wanted, [one["type"] for one in order]
        assert_ledger_is_exact(project)
        before = everything()
        for part in parts:
            assert told(send(client, raw, *part))[1] == []
        assert everything() == before
    assert wanted is not None
    assert wanted["traces"][0]["name"] == "last"
    assert wanted["traces"][0]["metadata"] == {"a": 1, "b": 2, "x": 1, "y": 2}
    assert wanted["records"][0]["user_id"] == "u1"
    assert wanted["records"][0]["cost_usd"] == COST
    assert wanted["content"][0]["output"] == [{"role": "assistant", "content": "More."}]


def test_a_generation_runs_until_it_ends(client: Client, project: Project, key: str) -> None:
    send(client, key, created())
    assert [s.status for s in spans_of(project).values()] == ["running", "running"]
    assert Trace.objects.get(project=project).status == "running"
    assert CostRecord.objects.count() == 0
    send(client, key, ended())
    assert [s.status for s in spans_of(project).values()] == ["ok", "ok"]
    trace = Trace.objects.get(project=project)
    assert (trace.status, trace.cost_usd, trace.running_count) == ("ok", COST, 0)
    assert_ledger_is_exact(project)


def test_usage_without_an_end_is_charged_and_the_end_follows(
    client: Client, project: Project, key: str
) -> None:
    late = ended()
    del late["body"]["endTime"]
    send(client, key, created(), late)
    assert spans_of(project)["g1"].flags == ["duration_unknown"]
    assert CostRecord.objects.get(project=project).latency_ms is None
    send(client, key, event("generation-update", 3, id="g1", traceId="t1", endTime=at(4)))
    span = spans_of(project)["g1"]
    assert (span.flags, span.duration_ms) == ([], 3000.0)
    record = CostRecord.objects.get(project=project)
    assert (record.latency_ms, record.cost_usd) == (3000.0, COST)
    assert_ledger_is_exact(project)


@pytest.mark.parametrize(
    "fields",
    [
        {"usage": {"promptTokens": 1000, "completionTokens": 100, "totalTokens": 1100}},
        {"usage": {"input": 1000, "output": 100}},
        {"usageDetails": {"input": 1000, "output": 100}, "usage": {"input": 1, "output": 1}},
        {"usageDetails": {"input": 600, "input_cached_tokens": 0, "output": 100, "total": 700, "input_audio": 0},
         "usage": None, "expected": Decimal("0.00035")},
        {"usageDetails": {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100,
                          "prompt_tokens_details": {"cached_tokens": 0}}, "usage": None},
        {"usageDetails": {"input_tokens": 1000, "output_tokens": 100, "total_tokens": 1100,
                          "output_tokens_details": {"reasoning_tokens": 20}}, "usage": None},
        {"usage": {"input": 5000, "output": 500, "unit": "CHARACTERS"}, "expected": None},
    ],
)  # fmt: skip
def test_usage_in_all_its_shapes(
    client: Client, project: Project, key: str, fields: dict[str, Any]
) -> None:
    expected = fields.pop("expected", COST)
    send(client, key, created(), ended(**fields))
    record = CostRecord.objects.get(project=project)
    assert record.cost_usd == expected
    marked = "usage_not_tokens" in spans_of(project)["g1"].flags
    assert marked is (expected is None)


def test_a_cost_of_the_client_keeps_its_digits(client: Client, project: Project, key: str) -> None:
    costs = {"costDetails": {"input": 0.1, "output": 0.000000000002}, "model": "own-model"}
    send(client, key, created(), ended(**costs))
    record = CostRecord.objects.get(project=project)
    assert (record.client_cost_usd, record.price_status) == (Decimal("0.100000000002"), "client")


def test_an_error_is_an_error_and_a_refusal_costs_nothing(
    client: Client, project: Project, key: str
) -> None:
    failed = event(
        "generation-update", 2, id="g1", traceId="t1", endTime=at(2), level="ERROR",
        statusMessage="Error code: 429 - too many",
    )  # fmt: skip
    send(client, key, created(), failed)
    span = spans_of(project)["g1"]
    assert (span.status, span.error_type, span.error_message) == (
        "error",
        "429",
        "Error code: 429 - too many",
    )
    trace = Trace.objects.get(project=project)
    assert (trace.status, trace.cost_usd, trace.unpriced_calls) == ("error", 0, 0)


def test_bad_events_are_named_and_the_others_stored(
    client: Client, project: Project, key: str
) -> None:
    bad = [
        event("trace-delete", id="x"),
        event("span-create", id="a b", traceId="t1"),
        event("generation-update", traceId="t1"),
        event("span-create", id="z", traceId="t1", startTime="1999-01-01T00:00:00Z"),
        {"id": "no-body", "type": "span-create", "timestamp": at(0)},
        {"type": "span-create", "timestamp": at(0), "body": {"id": "x"}},
        "text",
        event("score-create", id="sc", traceId="t1", name="", value=1),
        event("score-create", id="sd", traceId="t1", name="n", value={}),
        event("span-create", id="y", traceId="t1", usage=[]),
    ]
    score = event("score-create", id="ok", traceId="t1", name="n", value=0.5)
    good = [created(), ended(), event("sdk-log", log="x"), score]
    response = send(client, key, *bad, *good)
    successes, errors = told(response)
    assert successes == [one["id"] for one in good]
    assert [(one[1], one[2]) for one in errors] == [(400, "unknown_type")] + [
        (400, "invalid_field")
    ] * 9
    messages = [one["message"] for one in json.loads(response.content)["errors"]]
    assert messages[1].startswith('body.id is "a b"')
    assert messages[3].startswith('body.startTime is "1999-01-01T00:00:00Z": 1999-01-01')
    assert Score.objects.get(project=project).value == 0.5
    counts = tallied(project)
    assert counts["langfuse", "langfuse", "rejected", "invalid_field"][0] == 9
    assert counts["langfuse", "langfuse", "rejected", "unknown_type"][0] == 1
    assert sum(items for items, _ in counts.values()) == len(bad) + len(good) - 1  # but for the log


def test_an_event_without_a_trace_waits_for_the_one_that_names_it(
    client: Client, project: Project, key: str
) -> None:
    late = ended()
    del late["body"]["traceId"]
    assert told(send(client, key, late))[1] == []
    assert Span.objects.count() == 0
    send(client, key, created())
    assert CostRecord.objects.get(project=project).cost_usd == COST
    assert_ledger_is_exact(project)


def test_steps_that_another_door_ended_stay(client: Client, project: Project, key: str) -> None:
    send(client, key, created(), ended())
    LangfuseItem.objects.filter(project=project).delete()
    before = everything()
    answer = told(
        send(client, key, event("generation-update", 9, id="g1", traceId="t1", output="Other"))
    )
    assert [one[1:] for one in answer[1]] == [(409, "already_ended")]
    assert everything() == before


def test_who_may_not_enter_is_told_in_langfuses_words(
    client: Client, project: Project, key: str
) -> None:
    before = everything()
    for raw in (None, "llmlab_sk_wrong", "sk-lf-1"):
        response = send(client, raw, created())
        assert response.status_code == 401
        answer = json.loads(response.content)
        assert answer["error"] == "UnauthorizedError"
        assert answer["message"].startswith("Invalid credentials.")
    weak = key_for(project, scopes=["read"])[1]
    assert send(client, weak, created()).status_code == 403
    assert client.get("/api/public/ingestion").status_code == 405
    for body in (b"", b"{}", b"[]", b'{"batch": 1}', b"\xff", b'{"batch":'):
        response = send_body(client, key, body)
        assert (response.status_code, set(json.loads(response.content))) == (
            400,
            {"message", "error", "code"},
        )
    assert send_body(client, key, b"x", content_type="text/plain").status_code == 415
    assert everything() == before


def test_gzip(client: Client, project: Project, key: str) -> None:
    body = gzipped(json.dumps({"batch": [created(), ended()]}).encode())
    assert told(send_body(client, key, body, **{"Content-Encoding": "gzip"}))[1] == []
    assert CostRecord.objects.get(project=project).cost_usd == COST


@pytest.mark.parametrize("mode", ["off", "masked", "plain", "encrypted"])
def test_capture_is_honoured(client: Client, project: Project, key: str, mode: str) -> None:
    Project.objects.filter(pk=project.pk).update(content_capture=mode)
    secret = "mail bob@example.com"
    send(
        client, key, created(input=secret, name=secret), ended(output=secret, statusMessage=secret)
    )
    span = spans_of(project)["g1"]
    shown = json.dumps([step_content(project, span).content, span.name, span.error_message])
    kept = json.dumps(
        list(LangfuseItem.objects.filter(project=project).values_list("facts", flat=True))
    )
    assert ("bob@example.com" in shown) is (mode != "masked")
    assert ("bob@example.com" in kept) is (mode != "masked")
    assert ("So much" in shown) is False
    assert CostRecord.objects.get(project=project).cost_usd == COST
    if mode == "off":
        assert "output" not in step_content(project, span).content


def test_the_starts_day_may_change_when_the_start_is_known(
    client: Client, project: Project, key: str
) -> None:
    early = (START - dt.timedelta(days=1)).isoformat()
    send(client, key, ended())
    send(client, key, created(startTime=early))
    span = Span.objects.get(project=project, span_id="g1")
    assert span.started_at == START - dt.timedelta(days=1)
    assert CostRecord.objects.get(project=project).occurred_at == span.started_at
    assert_ledger_is_exact(project)


def test_a_deleted_trace_is_forgotten_and_may_come_again(
    client: Client, project: Project, key: str
) -> None:
    events = [event("trace-create", id="t1", userId="jane", name="chat"), created(), ended()]
    send(client, key, *events)
    delete_trace(project=project, trace_id="t1")
    assert not LangfuseItem.objects.filter(project=project).exists()
    assert told(send(client, key, *events))[1] == []
    assert Trace.objects.get(project=project).user_id == "jane"
    assert set(spans_of(project)) == {"t1", "g1"}
    assert_ledger_is_exact(project)
    assert CostRecord.objects.get(project=project).cost_usd == COST


def test_items_are_forgotten_two_days_after_their_last_event(client: Client, key: str) -> None:
    other = key_for(ProjectFactory())[1]
    send(client, key, created("old"), ended("old"))
    send(client, other, created("neighbour"))
    old = dt.timedelta(days=2, seconds=1)
    LangfuseItem.objects.update(updated_at=START - old)
    send(client, key, created("new", "t2"))
    LangfuseItem.objects.filter(item_id="new").update(
        updated_at=START - old + dt.timedelta(seconds=2)
    )
    LangfuseItem.objects.filter(item_id="t2").update(updated_at=START)

    assert state.forget_old_all(now=START) == 4  # an observation and its trace of each project

    assert set(LangfuseItem.objects.values_list("item_id", flat=True)) == {"new", "t2"}
    assert Trace.objects.count() == 3  # the traces themselves stay
    assert state.forget_old_all(now=START) == 0


def test_forgetting_goes_on_until_all_is_gone(client: Client, project: Project, key: str) -> None:
    send(client, key, *(created(f"g{number}") for number in range(4)))
    later = START + dt.timedelta(days=400)
    assert state.forget_old(project_id=project.pk, now=later, at_once=2) == 5
    assert not LangfuseItem.objects.exists()


def test_a_trace_that_only_a_later_event_names_is_not_made(
    client: Client, project: Project, key: str
) -> None:
    moved = ended("g1", "t2")
    assert told(send(client, key, created("g1", "t1"), moved))[1] == []
    assert list(Trace.objects.filter(project=project).values_list("trace_id", flat=True)) == ["t1"]
    assert not LangfuseItem.objects.filter(project=project, item_id="t2").exists()
    assert told(send(client, key, moved))[1] == []
    assert_ledger_is_exact(project)
