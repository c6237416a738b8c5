"""Content capture through the doors: what a project's choice keeps, and in which form it is stored."""

import json
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from core.crypto import data_cipher
from costs.models import CostAggregate, CostRecord
from projects.models import ContentCapture, Project
from tests.traces.langfuse_events import event, send
from tests.traces.said import said_in
from tests.traces.uploads import START, call_span, otlp, send_json, send_otlp, step, trace
from traces.ingest.capture import capture_of
from traces.models import Score, Span, SpanPayload, Trace
from traces.payloads import (
    is_plain,
    open_payload,
    open_text,
    payload_context,
    plain_payload,
    seal_payload,
    seal_text,
)

pytestmark = pytest.mark.django_db
CANARY = "jane.canary@example.com"


def choose(project: Project, mode: str, masking: Any = None) -> None:
    Project.objects.filter(pk=project.pk).update(content_capture=mode, masking=masking or {})


def canary_span() -> Any:
    """A call with the canary wherever text can be, as several dialects write it."""
    span = call_span(1, name="chat gpt-5-mini")
    said = json.dumps([{"role": "user", "parts": [{"type": "text", "content": f"I am {CANARY}"}]}])
    texts = {
        "gen_ai.input.messages": said,
        "gen_ai.output.messages": said,
        "gen_ai.system_instructions": CANARY,
        "gen_ai.tool.definitions": json.dumps([{"name": "t", "description": CANARY}]),
        "gen_ai.prompt.0.content": CANARY,
        "gen_ai.completion.0.content": CANARY,
        "input.value": CANARY,
        "output.value": CANARY,
        "traceloop.entity.input": json.dumps({"q": CANARY}),
        "ai.prompt": CANARY,
        "mlflow.spanInputs": json.dumps(CANARY),
        "my.own.text": f"about {CANARY}",
        "gen_ai.request.stop_sequences": CANARY,
        "metadata": json.dumps({"note": f"about {CANARY}"}),
        "exception.message": CANARY,
    }
    for key, value in texts.items():
        entry = span.attributes.add()
        entry.key, entry.value.string_value = key, value
    for name in ("gen_ai.user.message", "note"):
        event = span.events.add(name=name, time_unix_nano=span.start_time_unix_nano)
        entry = event.attributes.add()
        entry.key, entry.value.string_value = "content", CANARY
    span.status.code, span.status.message = 2, f"refused {CANARY}"
    return span


def canary_trace(**fields: Any) -> dict[str, Any]:
    call = step(
        "s1",
        input=[{"role": "user", "content": CANARY}],
        output={"text": CANARY},
        tools=[{"name": "t", "description": CANARY}],
        metadata={"note": f"about {CANARY}"},
        error={"type": "Refused", "message": f"not for {CANARY}"},
        my_own=f"about {CANARY}",
    )
    return trace("t1", call, input=f"ask {CANARY}", output=CANARY, **fields)


def stored_text(project: Project) -> str:
    """Everything ingestion stored, opened."""
    cipher = data_cipher(project.organization.data_key)
    parts: list[str] = []
    parts += map(repr, said_in(project).values())
    for row in Trace.objects.filter(project=project):
        context = payload_context(project.pk, row.trace_id, "preview")
        parts.append(open_text(cipher, row.preview, context))
    with connection.cursor() as cursor:
        for table in ("traces_trace", "traces_span", "costs_costrecord", "costs_costaggregate"):
            cursor.execute(
                f"SELECT t::text FROM {table} t WHERE project_id = %s",  # noqa: S608
                [project.pk],
            )
            parts += [text for (text,) in cursor.fetchall()]
    return "\n".join(parts)


def send_both(client: Client, project: Project, key: str, **fields: Any) -> None:
    assert send_otlp(client, key, otlp(canary_span())).status_code == 200
    answer = send_json(client, key, project, {"traces": [canary_trace(**fields)]})
    assert answer.json()["results"][0]["result"] == "stored"


def test_off_stores_no_content_anywhere_but_every_fact(
    client: Client, project: Project, key: str
) -> None:
    choose(project, "off")
    send_both(client, project, key, user=f"u {CANARY}", metadata={"plan": "pro", "seats": 3})
    everything = stored_text(project)
    assert everything.count(CANARY) == everything.count(f"u {CANARY}")  # the user's id is a fact
    assert "canary" not in everything.replace(f"u {CANARY}", "")
    call = Span.objects.get(dialect="gen_ai")
    assert (call.request_model, call.input_tokens, call.output_tokens) == ("gpt-5-mini", 1000, 100)
    assert (call.status, call.error_message) == ("error", "")
    assert CostRecord.objects.filter(project=project).count() == 2
    assert Trace.objects.get(trace_id="t1").metadata == {"plan": "pro", "seats": 3}
    content = said_in(project)[call.trace_id, call.span_id]
    assert set(content) <= {"attributes", "parameters", "events", "scope_name", "scope_version"}
    assert content["events"] == [{"name": "note", "offset_ms": 0.0, "attributes": {}}]


def test_masked_replaces_everywhere_and_stores_searchable_text(
    client: Client, project: Project, key: str
) -> None:
    choose(project, "masked")
    send_both(
        client,
        project,
        key,
        name=f"run of {CANARY}",
        user=f"u {CANARY}",
        tags=[f"for {CANARY}"],
        agent=f"bot {CANARY}",
    )
    everything = stored_text(project)
    assert "canary" not in everything.replace(f"u {CANARY}", "")
    row = Trace.objects.get(trace_id="t1")
    assert (row.name, row.user_id) == ("run of [email]", f"u {CANARY}")
    assert (row.tags, row.agent) == (["for [email]"], "bot [email]")
    assert Span.objects.get(span_id="s1").error_message == "not for [email]"
    values = CostAggregate.objects.filter(project=project).values_list("dimension", "value")
    assert ("tag", "for [email]") in set(values)
    assert is_plain(SpanPayload.objects.get(project=project, trace_id="t1").data)
    payload = said_in(project)["t1", "s1"]
    assert payload["input"] == [{"role": "user", "content": "[email]"}]
    assert payload["output"] == {"text": "[email]"}
    assert is_plain(row.preview)


def test_plain_stores_as_sent_without_a_seal(client: Client, project: Project, key: str) -> None:
    choose(project, "plain", {"builtin": ["email"]})  # rules are kept for later, not applied
    send_both(client, project, key)
    assert is_plain(SpanPayload.objects.get(project=project, trace_id="t1").data)
    payload = said_in(project)["t1", "s1"]
    assert payload["input"] == [{"role": "user", "content": CANARY}]


def test_encrypted_seals_and_applies_chosen_rules_first(
    client: Client, project: Project, key: str
) -> None:
    choose(project, "encrypted", {"patterns": [
        {"name": "canary", "pattern": "jane[.]canary", "replacement": "J"}]})  # fmt: skip
    send_both(client, project, key)
    for payload in SpanPayload.objects.filter(project=project):
        assert not is_plain(payload.data)
        assert plain_payload(payload.data) is None
    everything = stored_text(project)
    assert "canary" not in everything
    assert "J@example.com" in everything


def test_encrypted_without_rules_is_the_default_and_keeps_what_was_sent(
    client: Client, project: Project, key: str
) -> None:
    assert project.content_capture == ContentCapture.ENCRYPTED
    send_both(client, project, key)
    assert not any(is_plain(p.data) for p in SpanPayload.objects.all())
    assert f"I am {CANARY}" in stored_text(project)


def test_a_running_step_that_ends_follows_todays_choice(
    client: Client, project: Project, key: str
) -> None:
    running = step("s1", status="running", latency_ms=None, input=CANARY)
    send_json(client, key, project, {"traces": [trace("t1", running, status="running")]})
    choose(project, "off")
    send_json(client, key, project, {"traces": [trace("t1", step("s1"), status="ok")]})
    assert Span.objects.get(span_id="s1").status == "ok"
    assert all("input" not in content for content in said_in(project).values())


def test_bare_costs_are_masked_too(client: Client, project: Project, key: str) -> None:
    choose(project, "masked")
    cost = {
        "id": "c1", "model": "gpt-5-mini", "occurred_at": START.isoformat(), "cost_usd": 1,
        "agent": f"bot {CANARY}", "feature": CANARY, "tags": [CANARY], "user": f"u {CANARY}",
    }  # fmt: skip
    send_json(client, key, project, {"costs": [cost]}, door="costs")
    row = CostRecord.objects.get()
    assert (row.agent, row.feature, row.tags) == ("bot [email]", "[email]", ["[email]"])
    assert row.user_id == f"u {CANARY}"


def test_rules_that_no_longer_compile_mask_with_all_builtin_ones() -> None:
    broken = capture_of("encrypted", {"patterns": [{"name": "n", "pattern": "(?=a)"}]})
    assert {rule.name for rule in broken.rules} >= {"email", "credit_card", "api_key"}


def test_names_stay_within_their_columns_when_replacements_are_long(
    client: Client, project: Project, key: str
) -> None:
    choose(project, "masked", {"patterns": [
        {"name": "a", "pattern": "a", "replacement": "x" * 100}]})  # fmt: skip
    answer = send_json(client, key, project, {"traces": [trace("t1", step(), name="a" * 200)]})
    assert answer.json()["results"][0]["result"] == "stored"
    assert Trace.objects.get().name == "x" * 200


def test_both_forms_lie_side_by_side(project: Project) -> None:
    cipher = data_cipher(project.organization.data_key)
    context = payload_context(project.pk, "t", "s")
    for content in ({"input": "short"}, {"input": "long " * 100}):
        sealed, _ = seal_payload(cipher, content, context)
        plain, _ = seal_payload(None, content, context)
        assert open_payload(cipher, sealed, context) == content
        assert open_payload(cipher, memoryview(plain), context) == content
        assert plain_payload(plain) == content
    # A nonce that looks like the marker is opened all the same.
    nonce = b"\x00LL\x01" + bytes(8)
    unlucky = nonce + cipher.encrypt(nonce, b"r\x81\xa1a\x01", context)
    assert open_payload(cipher, unlucky, context) == {"a": 1}
    assert open_text(cipher, seal_text(None, "grüße", context), context) == "grüße"
    assert open_text(cipher, seal_text(cipher, "grüße", context), context) == "grüße"


def test_off_takes_sentences_under_the_names_of_facts_for_content(
    client: Client, project: Project, key: str
) -> None:
    choose(project, "off")
    span = call_span(1, name=f"asked {CANARY}")
    texts = {
        "logfire.msg": f"asked {CANARY}",
        "logfire.msg_template": "asked {who}",
        "otel.status_description": CANARY,
        "gen_ai.response.finish_reasons": f"because of what {CANARY} said",
        "llmlab.note": CANARY,
        "container.command_args": CANARY,
        "server.address": f"a whole sentence about {CANARY} and more",
        "gen_ai.system": "openai",
    }
    for name, value in texts.items():
        entry = span.attributes.add()
        entry.key, entry.value.string_value = name, value
    send_otlp(client, key, otlp(span))
    stored = stored_text(project)
    assert "canary" not in stored
    assert "openai" in stored
    assert Span.objects.get().name == "asked {who}"


@pytest.mark.parametrize(
    ("mode", "reason", "metadata"),
    [
        ("off", "", {"run": 7, "model": "judge-1"}),
        ("masked", "[email] is wrong", {"run": 7, "model": "judge-1", "quote": "so said [email]"}),
        (
            "plain",
            f"{CANARY} is wrong",
            {"run": 7, "model": "judge-1", "quote": f"so said {CANARY}"},
        ),
    ],
)
def test_a_judges_reasons_are_content(
    client: Client, project: Project, key: str, mode: str, reason: str, metadata: Any
) -> None:
    choose(project, mode)
    said = {"run": 7, "model": "judge-1", "quote": f"so said {CANARY}"}
    one = {"name": "right", "value": 0, "trace_id": "t1", "reason": f"{CANARY} is wrong", "metadata": said}  # fmt: skip
    path = f"/api/v1/projects/{project.slug}/scores"
    headers = {"Authorization": f"Bearer {key}"}
    for body in (one, {"scores": [one]}):
        client.post(path, body, content_type="application/json", headers=headers)
    send(client, key, event("score-create", id="lf", traceId="t1", name="right", value=0.5,
                            comment=f"{CANARY} is wrong", metadata=said))  # fmt: skip
    rows = list(Score.objects.filter(project=project).values_list("reason", "metadata"))
    assert rows == [(reason, metadata)] * 3
