"""Demo stories through the real doors into the real database: stored once, whatever is repeated."""

import datetime as dt
import json
from decimal import Decimal

import pytest
from django.db.models import Sum
from django.utils import timezone

from costs.models import CostAggregate, CostRecord
from examples.demo.calendar import month_before
from examples.demo.otlp import otlp_body
from examples.demo.story import trace_item
from projects.demo import ensure_demo
from traces.models import Span, Trace

pytestmark = pytest.mark.django_db


def state(project):
    """Everything the stories left, as plain values."""
    records = CostRecord.objects.filter(project=project)
    sums = CostAggregate.objects.filter(project=project, dimension="all").aggregate(
        calls=Sum("calls"), cost=Sum("cost_usd"), tokens=Sum("input_tokens")
    )
    return {
        "traces": Trace.objects.filter(project=project).count(),
        "spans": Span.objects.filter(project=project).count(),
        "records": records.count(),
        "cost": records.aggregate(cost=Sum("cost_usd"))["cost"],
        **{f"sum_{name}": value for name, value in sums.items()},
    }


def test_two_sendings_leave_what_one_leaves(client, tmp_path):
    demo = ensure_demo(folder=tmp_path)
    anchor = timezone.now() - dt.timedelta(minutes=1)
    days = month_before(anchor, traces=900)
    stories = [story for _, day in zip(range(3), days, strict=False) for story in day][:80]
    headers = {"authorization": f"Bearer {demo.api_key}"}
    half = len(stories) // 2

    def send():
        answer = client.post(
            f"/api/v1/projects/{demo.project.slug}/traces",
            json.dumps({"traces": [trace_item(story) for story in stories[:half]]}),
            content_type="application/json",
            headers=headers,
        )
        assert answer.status_code == 207
        results = answer.json()["results"]
        assert [result["rejected"] for result in results] == [[]] * half
        otlp = client.post(
            "/v1/traces",
            otlp_body(stories[half:]),
            content_type="application/x-protobuf",
            headers=headers,
        )
        assert (otlp.status_code, otlp.content) == (200, b"")
        return {result["result"] for result in results}

    assert send() == {"stored"}
    first = state(demo.project)
    assert first["traces"] == len(stories)
    assert first["spans"] == sum(len(story.steps) for story in stories)
    assert first["records"] == first["sum_calls"]
    assert first["cost"] == first["sum_cost"] > Decimal("0.01")
    assert send() == {"duplicate"}
    assert state(demo.project) == first
