"""What a call's row keeps of its tries."""

from typing import Any

import pytest
from django.utils import timezone

from gateway.models import LLMRequest
from gateway.recording.writer import record
from gateway.structs import Target
from tests.factories.projects import ProjectFactory
from tests.gateway.recording import calls

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
