"""No dialect raises, whatever its keys carry; what comes out fits the tables, and can be explained."""

import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.traces.corpus.dialect_bodies import POISON, examples
from tests.traces.test_dialects_explain import facts
from traces.ingest import dialects
from traces.ingest.dialects.explain import explain
from traces.ingest.dialects.registry import DIALECTS, understand
from traces.ingest.facts import EventFacts
from traces.ingest.limits import ERROR_LENGTH, NAME_LENGTH, SHORT_LENGTH, Limits
from traces.ingest.sanitize import Cleaner
from traces.ingest.span import NormalSpan

HERE = Path(dialects.__file__).parent
# Every attribute and event name a dialect's source mentions.
KEYS = sorted({
    key
    for path in HERE.glob("*.py")
    for key in re.findall(r'"([a-z_]+(?:[.][A-Za-z_0-9]+)+)[.*]?"', path.read_text(encoding="utf-8"))
})  # fmt: skip
SCOPES = sorted({scope.rstrip("*") for d in DIALECTS for scope in getattr(d, "SCOPES", ())} | {""})
MARKED = [sorted(dialect.MARKERS) for dialect in DIALECTS]

scalars = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text(max_size=30)
)  # fmt: skip
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=8) | st.sampled_from(["role", "content", "type", "messages",
            "parts", "tool_calls", "usage", "choices", "message", "event.name", "items", "config"]), inner, max_size=4)
    ),
    max_leaves=8,
)  # fmt: skip
poison = (
    st.sampled_from(POISON)
    | values
    | values.map(json.dumps)
    | values.map(lambda v: json.dumps(v)[:-1])
)
attributes = st.tuples(
    st.sampled_from(MARKED).flatmap(
        lambda names: st.dictionaries(st.sampled_from(names), poison, min_size=1)
    ),
    st.dictionaries(st.sampled_from(KEYS), poison, max_size=12),
).map(lambda pair: {**pair[1], **pair[0]})
events = st.lists(
    st.tuples(st.sampled_from(KEYS), st.dictionaries(st.sampled_from(KEYS), poison, max_size=3)),
    max_size=2,
)


def clean(given: dict[str, Any]) -> dict[str, Any]:
    """As a door cleans attributes before a dialect sees them."""
    cleaned = Cleaner(Limits()).value(given)
    assert isinstance(cleaned, dict)
    return cleaned


def texts(content: Any) -> Iterator[str]:
    """Every text inside."""
    if isinstance(content, str):
        content.encode()  # no lone surrogate
        yield content
    elif isinstance(content, dict):
        for key, value in content.items():
            yield from texts(key)
            yield from texts(value)
    elif isinstance(content, list):
        for value in content:
            yield from texts(value)


def assert_fits(span: NormalSpan) -> None:
    """What the writer relies on (traces.ingest.span)."""
    for name, length in {
        "name": NAME_LENGTH, "provider": SHORT_LENGTH, "request_model": NAME_LENGTH, "response_model": NAME_LENGTH,
        "operation": SHORT_LENGTH, "finish_reason": 40, "error_type": NAME_LENGTH, "error_message": ERROR_LENGTH,
        "user_id": NAME_LENGTH, "session_id": NAME_LENGTH, "agent": NAME_LENGTH, "environment": NAME_LENGTH,
        "release": NAME_LENGTH, "feature": NAME_LENGTH, "prompt_version": NAME_LENGTH, "trace_name": NAME_LENGTH,
        "service_tier": 32, "response_id": NAME_LENGTH,
    }.items():  # fmt: skip
        value = getattr(span, name)
        assert type(value) is str, name
        assert len(value) <= length, name
        assert "\x00" not in value
    for name in ("metadata", "attributes", "parameters"):
        assert type(getattr(span, name)) is dict, name
    assert type(span.tags) is tuple
    assert all(type(tag) is str for tag in span.tags)
    assert type(span.started_at) is datetime
    assert (
        span.first_token_ms is None
        or 0 <= span.first_token_ms < timedelta(days=400).total_seconds() * 1000
    )
    assert len(span.span_id) == 16
    for content in (
        span.input,
        span.output,
        span.tools,
        span.parameters,
        span.metadata,
        span.attributes,
    ):
        assert "\x00" not in "".join(texts(content))
        json.dumps(content, allow_nan=False).encode()
        msgspec.msgpack.encode(content)
    usage = span.usage
    if usage is not None:
        assert (usage.input_tokens or 0) >= 0
        assert (usage.output_tokens or 0) >= 0


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(attributes, st.sampled_from(SCOPES), events)
def test_no_dialect_raises(
    given_attributes: dict[str, Any], scope: str, happened: list[tuple[str, dict[str, Any]]]
):
    found = [
        EventFacts(name=name, offset_ms=1.0, attributes=clean(given)) for name, given in happened
    ]
    span = understand(
        facts(clean(given_attributes), scope, events=found, parent_span_id="0" * 15 + "2")
    )
    assert_fits(span)


@settings(max_examples=60, deadline=None)
@given(attributes, st.sampled_from(SCOPES))
def test_every_span_can_be_explained(given_attributes: dict[str, Any], scope: str):
    raw = facts(clean(given_attributes), scope)
    said = explain(raw)
    told = [*said.consumed, *(key for key, _ in said.ignored)]
    assert sorted(told) == sorted(raw.attributes)
    assert_fits(said.span)


@pytest.mark.parametrize("name", sorted(examples()))
def test_each_key_of_each_dialect_with_each_poison(name: str):
    """One good span of every dialect; each of its keys in turn carries each poison."""
    scope, good = examples()[name]
    for key in good:
        for bad in POISON:
            assert_fits(
                understand(facts(clean({**good, key: bad}), scope, parent_span_id="0" * 15 + "2"))
            )
