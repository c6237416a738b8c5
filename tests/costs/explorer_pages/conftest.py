"""A small ledger whose every figure can be worked out by hand."""

import datetime as dt
from decimal import Decimal
from types import SimpleNamespace

import pytest
from django.test import Client

from costs.explorer.facts import memory
from costs.services.record_costs import forget_partitions, record_costs
from costs.usage import ChargeableCall, Usage
from tests.factories.projects import ApiKeyFactory, ProjectFactory

DAY = dt.datetime(2026, 11, 3, tzinfo=dt.UTC)
RANGE = "2026-11-03..2026-11-04"
# (project, hours after DAY, model, user, tags, dollars or None for a model nobody has a price for)
CALLS = (
    ("checkout", 1, "gpt-a", "ada", ("customer:acme", "beta"), "1.25"),
    ("checkout", 2, "gpt-a", "bob", ("customer:acme",), "0.75"),
    ("checkout", 26, "gpt-b", "ada", ("beta",), "2.000000000001"),
    ("checkout", 27, "gpt-c", "eve", (), "0.5"),
    ("checkout", 28, "house", "eve", (), None),
    ("search", 3, "gpt-a", "ada", ("beta", "eu"), "4"),
    # The two days before.
    ("checkout", -40, "gpt-a", "ada", (), "1"),
    ("checkout", -20, "gpt-b", "ada", (), "4"),
)


def call_of(number: int, line: tuple) -> ChargeableCall:
    _, hours, model, user, tags, usd = line
    return ChargeableCall(
        record_id=f"c{number}",
        occurred_at=DAY + dt.timedelta(hours=hours),
        trace_id=f"t{number}",
        provider="house" if usd is None else "acme",
        model=model,
        request_model=model,
        usage=Usage(input_tokens=100, output_tokens=10),
        client_cost_usd=None if usd is None else Decimal(usd),
        environment="production",
        user_id=user,
        session_id=f"s-{user}",
        tags=tags,
    )


@pytest.fixture
def place(acme: SimpleNamespace) -> SimpleNamespace:
    """Two projects of Acme with these calls, and one project of somebody else with more."""
    memory.clear()
    forget_partitions()
    checkout = ProjectFactory(organization=acme.organization, slug="checkout", name="Checkout")
    search = ProjectFactory(organization=acme.organization, slug="search", name="Search")
    foreign = ProjectFactory(slug="foreign", name="Foreign")
    for project in (checkout, search, foreign):
        calls = [
            call_of(number, line)
            for number, line in enumerate(CALLS)
            if line[0] == project.slug or project is foreign
        ]
        record_costs(project_id=project.pk, calls=calls, now=DAY + dt.timedelta(days=3))
    key = ApiKeyFactory(project=checkout, name="Web shop")
    viewer, member = Client(), Client()
    viewer.force_login(acme.viewer.user)
    member.force_login(acme.member.user)
    return SimpleNamespace(
        acme=acme, organization=acme.organization, checkout=checkout, search=search, foreign=foreign,
        key=key, viewer=viewer, member=member, url=f"/organizations/{acme.organization.slug}/costs/",
    )  # fmt: skip
