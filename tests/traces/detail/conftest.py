"""One trace with three steps, and a member who reads it."""

import datetime as dt
from decimal import Decimal

import pytest
from django.test import Client

from accounts.models import Membership, Role
from projects.models import Project
from tests.factories.accounts import MembershipFactory
from tests.factories.projects import ProjectFactory
from tests.factories.traces import SpanFactory, TraceFactory
from traces.models import Span, Trace


@pytest.fixture
def project() -> Project:
    return ProjectFactory(slug="shop")


@pytest.fixture
def member(project: Project) -> Membership:
    return MembershipFactory(organization=project.organization, role=Role.MEMBER)


@pytest.fixture
def reader(member: Membership, client: Client) -> Client:
    client.force_login(member.user)
    return client


@pytest.fixture
def trace(project: Project) -> Trace:
    return TraceFactory(
        project=project, trace_id="t1", name="refund-agent", cost_usd=Decimal("0.0186")
    )


@pytest.fixture
def steps(trace: Trace) -> dict[str, Span]:
    root = SpanFactory(
        trace=trace, span_id="root", name="refund-agent", kind="agent", duration_ms=4000
    )
    plan = SpanFactory(
        trace=trace, span_id="plan", parent_span_id="root", name="plan", provider="openai",
        response_model="gpt-4o-mini", cost_usd=Decimal("0.0186"), price_status="priced", has_cost_record=True,
        first_token_ms=200,
    )  # fmt: skip
    tool = SpanFactory(
        trace=trace, span_id="tool", parent_span_id="root", name="issue_refund", kind="tool", status="error",
        error_type="StripeError", error_message="charge already refunded",
        started_at=trace.started_at + dt.timedelta(seconds=1.2),
    )  # fmt: skip
    return {"root": root, "plan": plan, "tool": tool}
