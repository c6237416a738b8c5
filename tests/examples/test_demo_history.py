"""The made-up month: always the same, complete, and understood by the OTLP door."""

import datetime as dt
import json
from collections import Counter
from itertools import pairwise

from costs.pricing import price_call
from costs.usage import ChargeableCall, Usage
from examples.demo.calendar import month_before
from examples.demo.judgements import scores_of
from examples.demo.otlp import otlp_body
from examples.demo.story import trace_item
from traces.errors.fingerprint import Failure, fingerprint
from traces.errors.grouping import own_failures
from traces.ingest.json_traces import decode_traces
from traces.ingest.limits import Limits, Window
from traces.ingest.otlp_decode import decode_otlp
from traces.media import extract
from traces.search.reading import FailedStep

ANCHOR = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)


def stories(traces=600, anchor=ANCHOR):
    return [story for day in month_before(anchor, traces=traces) for story in day]


def test_same_anchor_gives_the_same_month():
    first, second = stories(), stories()
    assert [trace_item(story) for story in first] == [trace_item(story) for story in second]


def test_ids_are_unique_and_steps_form_a_tree():
    found = stories()
    assert len({story.trace_id for story in found}) == len(found)
    for story in found:
        seen = set()
        for step in story.steps:
            assert step.parent_id in seen or (step.parent_id == "" and not seen)
            seen.add(step.id)
            assert step.seconds >= 0
        assert len(seen) == len(story.steps)
        assert all(step.end <= story.steps[0].end + 1e-9 for step in story.steps)


def test_nothing_lies_in_the_future_or_before_thirty_days():
    found = stories()
    assert max(story.ended_at for story in found) <= ANCHOR
    assert min(story.started_at for story in found).date() == dt.date(2026, 10, 21)


def test_month_has_every_agent_weekends_and_growth():
    found = stories(traces=4500)
    assert 4_000 < len(found) < 4_800
    assert 25_000 < sum(len(story.steps) for story in found) < 35_000
    agents = Counter(story.facts["agent_name"] for story in found)
    assert set(agents) == {
        "support-answer", "refund-agent", "triage", "batch-labelling", "nightly-digest",
        "catalogue-audit", "goodwill-approval", "damage-claim",
    }  # fmt: skip
    days = Counter(story.started_at.date() for story in found)
    assert days[dt.date(2026, 11, 14)] < 0.7 * days[dt.date(2026, 11, 13)]  # Saturday, Friday
    assert days[dt.date(2026, 11, 18)] > 1.4 * days[dt.date(2026, 10, 21)]  # both Wednesdays
    assert {story.facts["environment"] for story in found} == {"production", "staging"}


def test_month_has_errors_retries_cache_hits_and_unpriced_calls():
    steps = [step for story in stories(traces=3000) for step in story.steps]
    calls = [step for step in steps if step.kind == "llm"]
    errors = Counter(step.error["type"] for step in calls if step.error)
    assert {"OverloadedError", "RateLimitError", "APITimeoutError"} <= errors.keys()
    assert any(step.facts.get("cache_hit") for step in calls)
    assert any(step.facts.get("processing") == "batch" for step in calls)
    assert any("first_token_ms" in step.facts for step in calls)
    assert any(step.kind == "tool" and step.error for step in steps)
    assert any(step.facts.get("cache_write_input_tokens") for step in calls)


def test_failures_form_five_groups_each_with_its_releases():
    releases = {}
    for story in stories(traces=4500):
        steps = [
            FailedStep(
                span_id=step.id,
                parent_span_id=step.parent_id,
                started_at=story.started_at,
                provider=step.facts.get("provider", ""),
                failure=Failure(
                    step.error["type"],
                    step.error["message"],
                    step.kind,
                    step.name,
                    step.facts.get("model", ""),
                ),
            )
            for step in story.steps
            if step.error
        ]
        for step in own_failures(steps):
            group = (step.failure.error_type, step.failure.place)
            key = (*group, fingerprint(step.failure))
            releases.setdefault(key, set()).add(story.facts["release"])
    assert sorted(key[:2] for key in releases) == [
        ("APITimeoutError", "claude-sonnet-4-6"), ("OverloadedError", "claude-sonnet-5-5"),
        ("RateLimitError", "gpt-5-mini-2025-08-07"), ("TimeoutError", "lookup_order"),
        ("ValidationError", "route_ticket"),
    ]  # fmt: skip
    found = {key[0]: names - {"2026.11.2-rc1"} for key, names in releases.items()}
    assert found["APITimeoutError"] == {"2026.10.4", "2026.10.5"}  # gone with the old model
    assert found["OverloadedError"] == {"2026.11.0", "2026.11.1"}
    assert found["ValidationError"] == {"2026.11.1"}  # came with this release
    assert found["TimeoutError"] == {"2026.10.4", "2026.10.5", "2026.11.0", "2026.11.1"}


def test_conversations_have_turns_of_one_customer():
    turns = {}
    for story in stories(traces=4500):
        if "session" in story.facts:
            turns.setdefault(story.facts["session"], []).append(story)
    several = [told for told in turns.values() if len(told) > 1]
    assert len(several) > 500
    assert max(len(told) for told in several) == 5
    for told in several:
        assert {story.name for story in told} == {"support-answer"}
        assert len({story.facts["user"] for story in told}) == 1
        told.sort(key=lambda story: story.started_at)
        for before, after in pairwise(told):
            assert dt.timedelta(0) < after.started_at - before.ended_at < dt.timedelta(minutes=7)


def test_one_run_is_large_one_waits_and_one_shows_a_picture():
    by_name = {story.name: story for story in stories()}
    audit = by_name["catalogue-audit"]
    assert len(audit.steps) == 346
    assert {step.name for step in audit.steps if step.kind == "agent"} == {
        "catalogue-audit", "audit-planner", "text-reviewer", "price-checker", "photo-reviewer", "report-writer",
    }  # fmt: skip
    waiting = by_name["goodwill-approval"]
    busy = sum(step.seconds for step in waiting.steps[1:])
    assert busy < 0.02 * waiting.steps[0].seconds
    look = next(step for step in by_name["damage-claim"].steps if step.name == "look-at-photo")
    [media] = [part for part in extract(look.input)[0][0]["content"] if not isinstance(part, dict)]
    assert (media.type, media.shown) == ("image/png", "image")


def test_scores_are_thumbs_shares_and_categories_with_reasons():
    found = stories(traces=4500)
    scores = [score for story in found for score in scores_of(story)]
    assert scores == [score for story in found for score in scores_of(story)]
    assert len({score["id"] for score in scores}) == len(scores)
    names = Counter(score["name"] for score in scores)
    assert set(names) == {"thumbs", "groundedness", "resolution"}
    assert min(names.values()) > 150
    for score in scores:
        kind = {"thumbs": bool, "groundedness": float, "resolution": str}[score["name"]]
        assert type(score["value"]) is kind
    disliked = [s for s in scores if s["name"] == "thumbs" and not s["value"]]
    assert len(disliked) > 20
    assert all(score["reason"] for score in disliked)


def test_every_model_but_the_companys_own_has_a_price():
    statuses = {}
    for story in stories():
        for step in story.steps:
            if "input_tokens" not in step.facts or step.facts.get("cache_hit"):
                continue
            counts = {key: value for key, value in step.facts.items() if key.endswith("_tokens")}
            call = ChargeableCall(
                record_id=step.id,
                occurred_at=story.started_at,
                provider=step.facts["provider"],
                model=step.facts["model"],
                processing=step.facts.get("processing", ""),
                usage=Usage(**counts),
            )
            statuses.setdefault(step.facts["model"], set()).add(price_call(call).status)
    assert statuses.pop("acme-llama-70b") == {"unpriced"}
    assert statuses.keys() >= {
        "claude-sonnet-5-5", "claude-sonnet-4-6", "claude-opus-5-5", "gpt-6.1-sol", "gpt-5-mini-2025-08-07",
        "gemini-3.8-flash", "text-embedding-3-small",
    }  # fmt: skip
    assert set().union(*statuses.values()) == {"priced"}


def test_otlp_form_says_what_the_json_form_says():
    found = [story for story in stories() if story.facts["agent_name"] == "refund-agent"]
    decoded = decode_otlp(
        otlp_body(found),
        content_type="protobuf",
        now=ANCHOR,
        limits=Limits(max_spans=100_000),
        window=Window.around(ANCHOR, retention_days=400),
    )
    assert decoded.rejections == []
    spans = {span.span_id: span for span in decoded.spans}
    for story in found:
        for step in story.steps:
            span = spans.pop(step.id)
            assert (span.trace_id, span.parent_span_id, span.name) == (
                story.trace_id,
                step.parent_id,
                step.name,
            )
            assert span.status == ("error" if step.error else "ok")
            assert span.agent == "refund-agent"
            assert span.environment == story.facts["environment"]
            if step.kind == "llm":
                assert span.is_call
                assert (span.usage.input_tokens, span.usage.output_tokens) == (
                    step.facts["input_tokens"],
                    step.facts["output_tokens"],
                )
                assert span.usage.reasoning_output_tokens == step.facts["reasoning_output_tokens"]
                assert span.response_model == step.facts["model"]
            if not step.parent_id:
                assert (span.user_id, span.session_id) == (
                    story.facts["user"],
                    story.facts["session"],
                )
                assert list(span.tags) == story.facts["tags"]
    assert spans == {}


def test_json_form_is_understood_without_a_rejection():
    found = stories()
    body = json.dumps({"traces": [trace_item(story) for story in found]}).encode()
    results = decode_traces(
        body,
        now=ANCHOR,
        limits=Limits(max_spans=100_000),
        window=Window.around(ANCHOR, retention_days=400),
    )
    for story, result in zip(found, results, strict=True):
        assert (result.error, result.rejections) == (None, [])
        root, *rest = story.steps
        spans = {span.span_id: span for span in result.spans}
        top = spans.pop(story.trace_id)
        assert (top.parent_span_id, top.name, top.kind) == ("", root.name, root.kind)
        assert top.status == ("error" if story.has_failed else "ok")
        assert abs((top.ended_at - story.ended_at).total_seconds()) < 0.002
        assert spans.keys() == {step.id for step in rest}
        for step in rest:
            span = spans[step.id]
            wanted = story.trace_id if step.parent_id == root.id else step.parent_id
            assert (span.parent_span_id, span.kind) == (wanted, step.kind)
            assert span.is_call == (step.kind in ("llm", "embedding"))
            assert span.is_cache_hit == bool(step.facts.get("cache_hit"))
            assert span.flags == ()


def test_texts_are_filled_in_and_long_enough():
    for story in stories(traces=300):
        text = json.dumps(trace_item(story))
        assert "{product}" not in text
        assert "{order}" not in text
        if story.facts["agent_name"] == "support-answer" and not story.has_failed:
            assert len(story.input) > 40
            assert len(story.output) > 100
