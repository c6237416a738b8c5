"""`POST /api/v1/projects/{project}/traces`: one result per item, running then ended, repeats, mixed good and bad."""

import datetime as dt
import json
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from costs.models import CostRecord
from projects.models import Project
from tests.traces.spans import aggregate_sums, assert_ledger_is_exact, raw_sums
from tests.traces.uploads import START, everything, send_json, step, trace
from traces.models import Span, Trace
from traces.removal import delete_trace

pytestmark = pytest.mark.django_db


def results(answer: Any) -> list[dict[str, Any]]:
    assert answer.status_code == 207, answer.content
    found: list[dict[str, Any]] = answer.json()["results"]
    return found


def test_a_trace_and_its_steps_are_stored_and_priced(
    client: Client, project: Project, key: str
) -> None:
    body = {
        "traces": [
            trace(
                "t1",
                step("s1"),
                step("s2", type="tool", model=None, input_tokens=None, output_tokens=None),
            )
        ]
    }
    assert results(send_json(client, key, project, body)) == [
        {
            "index": 0,
            "trace_id": "t1",
            "status": 201,
            "result": "stored",
            "steps": {"stored": 3, "updated": 0, "duplicate": 0},
            "calls": 1,
            "unpriced_calls": 0,
            "cost_usd": "0.00045",
            "rejected": [],
        }
    ]
    stored = Trace.objects.get(project=project)
    assert (stored.name, stored.status, stored.span_count, stored.call_count) == (
        "refund-agent",
        "ok",
        3,
        1,
    )
    assert (stored.cost_usd, stored.duration_ms) == (Decimal("0.00045"), 2000.0)
    assert CostRecord.objects.get(project=project).key == "t1/s1"
    assert_ledger_is_exact(project)


def test_sending_again_changes_nothing(client: Client, project: Project, key: str) -> None:
    body = {"traces": [trace("t1", step("s1"))]}
    send_json(client, key, project, body)
    before = everything()
    (again,) = results(send_json(client, key, project, body))
    assert (again["status"], again["result"]) == (200, "duplicate")
    assert again["steps"] == {"stored": 0, "updated": 0, "duplicate": 2}
    assert everything() == before


def test_a_running_trace_is_updated_and_counted_once_when_it_ends(
    client: Client, project: Project, key: str
) -> None:
    running = step("s1", status="running", latency_ms=None, input_tokens=None, output_tokens=None)
    open_trace = trace("t1", running, status="running", duration_ms=None)
    (first,) = results(send_json(client, key, project, {"traces": [open_trace]}))
    assert (first["result"], Trace.objects.get().status) == ("stored", "running")
    assert (Span.objects.get(span_id="s1").status, aggregate_sums(project)["calls"]) == (
        "running",
        0,
    )

    (second,) = results(
        send_json(client, key, project, {"traces": [trace("t1", step("s1"), status="ok")]})
    )

    assert (second["status"], second["result"]) == (200, "updated")
    assert second["steps"] == {"stored": 0, "updated": 2, "duplicate": 0}
    assert (Trace.objects.get().status, Trace.objects.get().running_count) == ("ok", 0)
    assert aggregate_sums(project)["calls"] == 1
    (late,) = results(send_json(client, key, project, {"traces": [open_trace]}))
    assert (late["result"], Trace.objects.get().status) == ("duplicate", "ok")
    assert_ledger_is_exact(project)


def test_one_result_per_item_and_bad_ones_cost_only_themselves(
    client: Client, project: Project, key: str
) -> None:
    body = {
        "traces": [
            trace("good", step("s1")),
            trace("half", step("s1"), step("s2", input_tokens=-1), step("s/3")),
            trace("", step("s1")),
            "not an object",
            trace("last", step("s1", cost_usd="NaN")),
        ]
    }
    found = results(send_json(client, key, project, body))
    assert [(r["index"], r["status"], r["result"]) for r in found] == [
        (0, 201, "stored"),
        (1, 207, "partial"),
        (2, 400, "rejected"),
        (3, 400, "rejected"),
        (4, 207, "partial"),
    ]
    assert [(r["index"], r["id"], r["code"]) for r in found[1]["rejected"]] == [
        (1, "s2", "invalid_field"),
        (2, "s/3", "invalid_field"),
    ]
    assert found[1]["rejected"][0]["detail"] == (
        "steps[1].input_tokens is -1: it must be a whole number from 0 to 10000000000."
    )
    assert found[2]["rejected"][0]["detail"].startswith('trace_id is ""')
    assert sorted(Trace.objects.values_list("trace_id", flat=True)) == ["good", "half", "last"]
    before = everything()
    send_json(client, key, project, body)
    assert everything() == before
    assert_ledger_is_exact(project)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid_body"),
        (b"{", "invalid_body"),
        (b"5", "invalid_body"),
        (b'"x"', "invalid_body"),
        (b"null", "invalid_body"),
        (b"{}", "invalid_body"),
        (b'{"traces": {}}', "invalid_body"),
        (b'\xff\xfe{"traces": []}', "invalid_body"),
        ('{"traces": []}'.encode("utf-16"), "invalid_body"),
        (b"[" * 100_000, "too_deep"),
        (b'{"traces": [], "traces": []}', "invalid_body"),
    ],
)
def test_a_body_that_is_no_upload_is_a_400_denied(
    client: Client, project: Project, key: str, body: bytes, code: str
) -> None:
    before = everything()
    answer = send_json(client, key, project, body)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert set(answer.json()) == {"detail", "code", "fields"}
    assert everything() == before


def test_hostile_text_and_numbers_never_reach_the_database_raw(
    client: Client, project: Project, key: str
) -> None:
    steps = (
        r'{"id": "s1", "type": "llm", "model": "gpt-5-mini", "input_tokens": 9223372036854775808}',
        r'{"id": "s2", "type": "llm", "model": "gpt-5-mini", "input_tokens": NaN}',
        r'{"id": "s3", "type": "tool", "name": "ok", "input": "\udfff"}',
    )
    hostile = (
        r'{"traces": [{"trace_id": "t1", "name": "a\u0000b\ud800", "duration_ms": 5, "started_at": "'
        + START.isoformat()
        + r'", "metadata": {"__proto__": 1, "k": "\u0000", "n": 1e400, "big": '
        + "9" * 4301
        + '}, "steps": ['
        + ", ".join(steps)
        + "]}]}"
    )
    (found,) = results(send_json(client, key, project, hostile.encode()))
    assert (found["status"], [r["id"] for r in found["rejected"]]) == (207, ["s1", "s2"])
    stored = Trace.objects.get(project=project)
    assert "\x00" not in stored.name + json.dumps(stored.metadata)
    assert Span.objects.filter(span_id="s3").exists()


def test_times_outside_the_window_are_named(client: Client, project: Project, key: str) -> None:
    now = dt.datetime.now(dt.UTC)
    old, ahead = now - dt.timedelta(days=401), now + dt.timedelta(days=2)
    steps = [
        step("old", started_at=old.isoformat()),
        step("ahead", started_at=ahead.isoformat()),
        step("now"),
    ]
    steps.append(step("unreadable", started_at="0001-01-01T00:00:00+14:00"))
    (found,) = results(send_json(client, key, project, {"traces": [trace("t1", *steps)]}))
    assert [r["id"] for r in found["rejected"]] == ["old", "ahead", "unreadable"]
    assert "retention" in found["rejected"][0]["detail"]
    assert sorted(Span.objects.values_list("span_id", flat=True)) == ["now", "t1"]
    skewed = (now + dt.timedelta(hours=1)).isoformat()
    results(
        send_json(client, key, project, {"traces": [trace("t2", step("s", started_at=skewed))]})
    )
    assert Span.objects.get(trace_id="t2", span_id="s").flags == ["clock_skew"]


def test_a_deleted_trace_may_be_sent_again(client: Client, project: Project, key: str) -> None:
    """The ledger outlives the trace: the call is there already, and is not paid twice."""
    upload = {"traces": [trace("t1", step("s1"), user="jane")]}
    send_json(client, key, project, upload)
    before = raw_sums(project)
    delete_trace(project=project, trace_id="t1")
    assert raw_sums(project) == before
    answer = send_json(
        client, key, project, {"traces": [*upload["traces"], trace("t2", step("s1"))]}
    )
    assert [one["result"] for one in answer.json()["results"]] == ["stored", "stored"]
    assert_ledger_is_exact(project)
    assert raw_sums(project)["calls"] == 2 * before["calls"]
    again = send_json(client, key, project, upload)
    assert again.json()["results"][0]["result"] == "duplicate"


def test_the_answer_says_what_was_charged(client: Client, project: Project, key: str) -> None:
    """Each item its own calls, once: what is unknown is null, what was charged before is not charged again."""
    first = trace("t1", step("s1"), step("s2", model="nobody-knows-this-model"))
    unknown = trace("t2", step("s1", model="nobody-knows-this-model"))
    upload = {"traces": [first, unknown, trace("t3")]}
    charged = ("calls", "unpriced_calls", "cost_usd")
    answer = results(send_json(client, key, project, upload))
    assert [tuple(one[name] for name in charged) for one in answer] == [
        (2, 1, "0.00045"),
        (1, 1, None),
        (0, 0, None),
    ]
    again = results(send_json(client, key, project, upload))
    assert [tuple(one[name] for name in charged) for one in again] == [(0, 0, None)] * 3


def _services() -> list[dict[str, Any]]:
    """What two services send of one trace: the second's part hangs below a step of the first."""
    asking = trace(
        "aa" * 16,
        {**step("01" * 8, type="span"), "name": "POST /refunds"},
        step("02" * 8, parent_id="01" * 8, type="tool", model=None),
        root_id="01" * 8,
        name="POST /refunds",
        user="jane",
    )
    asked = trace(
        "aa" * 16,
        {**step("11" * 8, type="span", model=None), "name": "lookup"},
        step("12" * 8),
        root_id="11" * 8,
        parent_id="02" * 8,
        name="lookup",
    )
    return [{"traces": [asking]}, {"traces": [asked]}]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_services_send_their_parts_of_one_trace(
    client: Client, project: Project, key: str, order: tuple[int, int]
) -> None:
    parts = _services()
    for number in order:
        (found,) = results(send_json(client, key, project, parts[number]))
        assert (found["result"], found["steps"]["stored"]) == ("stored", 2)
    stored = Trace.objects.get(project=project)
    assert (stored.name, stored.root_span_id, stored.span_count, stored.user_id) == (
        "POST /refunds",
        "01" * 8,
        4,
        "jane",
    )
    parents = dict(Span.objects.values_list("span_id", "parent_span_id"))
    assert parents == {
        "01" * 8: "",
        "02" * 8: "01" * 8,
        "11" * 8: "02" * 8,
        "12" * 8: "11" * 8,
    }
    assert_ledger_is_exact(project)


def test_a_part_without_its_root_is_completed_by_it(
    client: Client, project: Project, key: str
) -> None:
    """A step that ended before its root does: the item stands for the root, running, until that comes."""
    early = trace("t1", step("s1"), root_id="r1", status="running", ended_at=None, duration_ms=None)
    results(send_json(client, key, project, {"traces": [early]}))
    assert Trace.objects.get(project=project).status == "running"
    root = {**step("r1", type="chain", model=None, input_tokens=None, output_tokens=None)}
    done = trace("t1", root, root_id="r1")
    (found,) = results(send_json(client, key, project, {"traces": [done]}))
    assert found["steps"] == {"stored": 0, "updated": 1, "duplicate": 0}
    stored = Trace.objects.get(project=project)
    assert (stored.status, stored.root_span_id, stored.span_count) == ("ok", "r1", 2)
    assert Span.objects.get(span_id="s1").parent_span_id == "r1"
    assert_ledger_is_exact(project)


def test_a_root_below_itself_denied(client: Client, project: Project, key: str) -> None:
    body = {"traces": [trace("t1", step("s1"), root_id="r1", parent_id="r1")]}
    (found,) = results(send_json(client, key, project, body))
    assert found["rejected"][0]["detail"] == (
        'parent_id is "r1": the root cannot be its own parent.'
    )
    assert not Span.objects.exists()
