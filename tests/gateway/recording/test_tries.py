"""What a call's row keeps of its tries."""

from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from costs.models import CostRecord
from costs.usage import Usage
from gateway.models import LimitMetric, LLMRequest
from gateway.quotas.charging import charge, cost_of
from gateway.recording.writer import record
from gateway.structs import Target
from tests.factories.projects import ProjectFactory
from tests.gateway.recording import calls
from traces.models import Span

pytestmark = pytest.mark.django_db


def test_tries_are_kept_where_one_try_is_not_the_whole_story() -> None:
    project = ProjectFactory.create()
    other = Target(connection="c" * 32, kind="openai", model="big", provider="openai", step=1)
    told: dict[str, Any] = {}
    for name, tries in (
        ("plain", [{}]),
        ("failed", [{"status": 500, "error": "error"}]),
        ("fell", [{"status": 429, "error": "rate_limit", "retry_after_s": 30.0}, {"target": other}]),
        ("hedged", [{"status": 0, "error": "cancelled"}, {"target": other, "is_hedge": True}]),
        ("none", []),
    ):  # fmt: skip
        call = calls.call(project)
        attempts = [calls.tried(call, after=i / 10, took=0.5, **one) for i, one in enumerate(tries)]
        record([calls.finished(of=call, attempts=attempts)], now=timezone.now())
        row = LLMRequest.objects.get(id=call.id)
        told[name] = row.tries
        assert row.target_model == ("big" if name in ("fell", "hedged") else "gpt-4o-mini")
        if name == "fell":
            assert row.tries[0].pop("until") == pytest.approx(call.accepted_at + 30.5, abs=0.01)
    mine = {"connection": calls.CONNECTION, "model": "gpt-4o-mini", "ms": 500.0}
    second = {"connection": "c" * 32, "model": "big", "status": 200, "ms": 500.0}
    assert told == {
        "plain": None,
        "none": None,
        "failed": [mine | {"status": 500, "error": "error"}],
        "fell": [mine | {"status": 429, "error": "rate_limit"}, second],
        "hedged": [mine | {"status": 0, "error": "cancelled"}, second | {"is_hedge": True}],
    }


@pytest.mark.parametrize("parent", ["", "00f067aa0ba902b7"])
def test_a_try_that_was_given_up_is_a_step_and_a_charge_beside_its_call(parent: str) -> None:
    project = ProjectFactory.create()
    who = calls.caller(project, trace_id="4bf92f3577b34da6a3ce929d0e0e4736", parent_span_id=parent)
    call = calls.call(project, caller=who)
    dear = Target(connection=calls.CONNECTION, kind="openai", model="gpt-4o", provider="openai")
    used = Usage(input_tokens=1000, output_tokens=10, is_estimated=True)
    given_up = calls.tried(call, target=dear, error="cancelled", status=0, usage=used)
    one = calls.finished(of=call, attempts=[given_up, calls.tried(call, is_hedge=True)])
    for _ in range(2):
        record([one], now=timezone.now())
    prices = [Decimal("0.0026"), Decimal("0.00045")]
    charged = CostRecord.objects.filter(project=project).values_list("cost_usd", flat=True)
    assert sorted(charged, reverse=True) == prices
    row = LLMRequest.objects.get(id=call.id)
    assert (row.cost_usd, row.flags) == (sum(prices), ["usage_estimated", "given_up"])
    assert (row.input_tokens, row.output_tokens) == (1000, 500)
    loser = Span.objects.get(project=project, request_model="gpt-4o")
    assert (loser.trace_id, loser.parent_span_id) == (row.trace_id, parent)
    assert (loser.status, loser.flags) == ("error", ["given_up", "usage_estimated"])
    assert cost_of(one) == row.cost_usd
    tokens = [
        charge(LimitMetric.TOKENS, Decimal(0), model, one, None).used
        for model in ("", "gpt-4o", "gpt-4o-mini", "other")
    ]
    assert tokens == [2510, 1010, 1500, 0]
