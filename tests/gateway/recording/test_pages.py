"""A recorded call on its trace's page: its time split in the bar, and what the gateway did in the step's pane."""

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from django.utils import timezone

from gateway.recording.writer import record
from projects.models import Project
from tests.factories.projects import ProjectFactory
from tests.gateway.recording import calls
from traces.bars import bar_of, phase_bars
from traces.models import Trace
from traces.phases import phases_of
from traces.selectors import detail
from traces.selectors.phases import phases_in
from traces.waterfall import lay_out


@pytest.fixture
def project(acme: SimpleNamespace) -> Project:
    return ProjectFactory(organization=acme.organization)


def retried(project: Project) -> Any:
    call = calls.call(project, cache_s=0.001)
    west = msgspec.structs.replace(calls.TARGET, model="gpt-4o", step=1)
    tries = [
        calls.tried(call, took=0.2, status=429, error="rate_limit", message="slow down"),
        calls.tried(call, after=0.5, target=west),
    ]
    return calls.finished(of=call, attempts=tries, ended_at=call.accepted_at + 1.01)


def steps_of(project: Project) -> tuple[Trace, Any]:
    trace = Trace.objects.get(project=project)
    return trace, detail.steps_of(trace)


def test_the_bar_is_split_where_the_time_went(project: Project) -> None:
    record([retried(project)], now=timezone.now())
    trace, steps = steps_of(project)
    [phases] = phases_in(project, trace.trace_id, steps).values()
    assert [phase.name for phase in phases] == [
        *("door", "cache", "queue", "prepare", "retry", "first_token", "provider", "send")
    ]
    assert sum(phase.length_ms for phase in phases) == pytest.approx(1010, abs=0.1)
    layout = lay_out(steps, now=timezone.now())
    found = {p.name: (x, w) for p, x, w in phase_bars(layout.rows[0], phases, layout.extent)}
    assert "provider" not in found  # what is left of the bar
    assert found["retry"] == pytest.approx((1.188, 48.31), abs=0.01)
    assert found["first_token"] == pytest.approx((49.5, 24.75), abs=0.01)
    [row] = layout.rows
    assert bar_of(row, layout.extent, is_split=True).label == "in"  # there is no room beside it
    wide = msgspec.structs.replace(layout.extent, length_ms=2000.0)
    assert bar_of(row, wide, is_split=True).label == "after"
    assert bar_of(row, wide).label == "in"


def test_payloads_are_opened_for_gateway_calls_only(
    project: Project, django_assert_num_queries: Any
) -> None:
    record([calls.finished(project)], now=timezone.now())
    trace, steps = steps_of(project)
    with django_assert_num_queries(2):
        phases_in(project, trace.trace_id, steps)
    others = [msgspec.structs.replace(step, dialect="gen_ai") for step in steps]
    with django_assert_num_queries(0):
        assert phases_in(project, trace.trace_id, others) == {}


@pytest.mark.parametrize("value", ["x", None, -1, float("inf"), [1], 1e12])
def test_attributes_that_are_no_times_are_no_phases(value: Any) -> None:
    assert phases_of({"llmlab.gateway.queue_ms": value}) == ()


def test_the_page_shows_the_phases_and_what_was_decided(
    project: Project, acme: SimpleNamespace, client_of: Any
) -> None:
    end = retried(project)
    record([end], now=timezone.now())
    client = client_of(acme.viewer)
    base = f"/projects/{project.slug}/traces/{end.call.id}/"
    page = client.get(base).content.decode()
    assert 'class="ph queue"' in page
    assert "Failed tries and waits: 488 ms" in page
    step = f"{base}steps/{end.call.id[16:]}/?tab=gateway"
    pane = client.get(step, headers={"hx-request": "true"}).content.decode()
    for words in ("route fast: weight", "rate_limit", "slow down", "gpt-4o", "Where the time went"):
        assert words in pane


def test_flags_of_any_length_fit_their_column(project: Project) -> None:
    record([calls.finished(project, flags=("f" * 300,))], now=timezone.now())
    assert Trace.objects.filter(project=project).count() == 1


def test_without_contents_the_phases_and_the_route_stay(project: Project) -> None:
    project.content_capture = "off"
    project.save(update_fields=["content_capture"])
    record([retried(project)], now=timezone.now())
    trace, steps = steps_of(project)
    [phases] = phases_in(project, trace.trace_id, steps).values()
    assert len(phases) == 8
    span = detail.step_of(trace, steps[0].span_id)
    assert span is not None
    content = detail.step_content(project, span).content
    assert not {"input", "output", "tools"} & set(content)
    assert content["attributes"]["llmlab.gateway.route"] == "fast"
    assert "slow down" not in str(content)
