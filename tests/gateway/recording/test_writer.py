"""How ended calls become steps, ledger entries and rows of the request list, once each."""

import datetime as dt
from decimal import Decimal

import pytest
from django.utils import timezone

from costs.models import CostRecord
from gateway.models import LLMRequest
from gateway.recording.writer import record
from projects.models import Project
from tests.factories.projects import ProjectFactory
from tests.gateway.recording import calls
from traces.models import Span, Trace

PRICE = Decimal("0.00045")  # 1,000 tokens in, 500 out


@pytest.fixture
def project(db: None) -> Project:
    return ProjectFactory()


def now() -> dt.datetime:
    return timezone.now()


def test_a_call_is_a_step_a_charge_and_a_row(project: Project) -> None:
    one = calls.finished(project)
    record([one], now=now())
    span = Span.objects.get(project=project)
    assert (span.trace_id, span.span_id) == (one.call.id, one.call.id[16:])
    assert (span.kind, span.status, span.dialect) == ("llm", "ok", "gateway")
    assert (span.provider, span.request_model) == ("openai", "gpt-4o-mini")
    assert (span.cost_usd, span.price_status) == (PRICE, "priced")
    row = LLMRequest.objects.get(project=project)
    assert (row.id.hex, row.state, row.cost_usd) == (one.call.id, "done", PRICE)
    assert row.queue_ms == pytest.approx(6, abs=0.01)
    assert row.provider_ms == pytest.approx(500, abs=0.01)
    assert row.first_token_ms == pytest.approx(262, abs=0.01)
    charged = CostRecord.objects.get(project=project)
    assert charged.api_key_id is not None
    assert charged.api_key_id.hex == one.call.caller.key_id


def test_the_same_end_twice_changes_nothing(project: Project) -> None:
    ends = [calls.finished(project) for _ in range(3)]
    record([*ends, ends[0]], now=now())
    record(ends, now=now())
    assert Span.objects.filter(project=project).count() == 3
    assert CostRecord.objects.filter(project=project).count() == 3
    assert LLMRequest.objects.filter(project=project).count() == 3
    assert sum(Trace.objects.filter(project=project).values_list("cost_usd", flat=True)) == (
        3 * PRICE
    )


def test_a_refused_call_is_a_row_and_no_step(project: Project) -> None:
    refused = calls.finished(
        project, state="refused", status=429, error="rate_limit_exceeded", attempts=[], usage=None
    )
    record([refused], now=now())
    assert not Span.objects.filter(project=project).exists()
    row = LLMRequest.objects.get(project=project)
    assert (row.status_code, row.error, row.cost_usd) == (429, "rate_limit_exceeded", None)
    assert row.span_id == ""
