"""Connecting a provider by hand: refused, accepted, its history watched, cancelled and resumed; the bill beside it."""

import datetime as dt
import json
import urllib.request
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.test import override_settings
from django.utils import timezone

from core.models import Job
from costs.billing.step import KIND
from costs.models import BilledCost, ProviderSync
from tests.costs.billing.conftest import KEY
from tests.costs.repricing import finish
from tests.functional.browser import PageFor, audit, expect
from tests.functional.server import Server, running_server
from tests.world import World, make_world

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
DAYS = 12


@pytest.fixture(scope="module")
def server(django_db_setup: None, simulator: str, tmp_path_factory: Any) -> Iterator[Server]:
    """One that may call the simulator."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LLMLAB_OUTBOUND_ALLOW", simulator.removeprefix("http://"))
        with running_server(tmp_path_factory.mktemp("server"), processes=1) as running:
            yield running


@pytest.fixture
def world(transactional_db: None, simulator: str) -> Iterator[World]:
    """A dollar and a cent a day at the simulated provider, which this process may call too."""
    now = timezone.now()
    charges = [
        {
            "at": (now - dt.timedelta(days=day)).replace(hour=0).isoformat(),
            "provider": "openai",
            "sub_account": "proj_1",
            "key": "key_1",
            "model": "gpt-5-mini",
            "token_class": "input",
            "quantity": "1000",
            "amount": "1.01",
        }
        for day in range(DAYS)
    ]
    post(f"{simulator}/simulator/billing/world", {"mode": "replace", "charges": charges})
    with override_settings(LLMLAB_OUTBOUND_ALLOW=[simulator.removeprefix("http://")]):
        yield make_world()
    post(f"{simulator}/simulator/billing/world", {"mode": "replace", "charges": []})


def post(url: str, document: Any) -> None:
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(document).encode(), headers)
    with urllib.request.urlopen(request, timeout=10):
        pass


def test_a_provider_is_connected_and_its_history_watched(
    page_for: PageFor, world: World, simulator: str
) -> None:
    page = page_for(world.people["admin"])
    page.goto(f"/organizations/{world.organization.slug}/billing/")
    page.get_by_role("link", name="Connect a provider").click()
    page.get_by_role("link", name="OpenAI").click()
    page.get_by_label("Name").fill("Main account")
    page.get_by_label("Admin key").fill("sk-proj-not-an-admin-key-0000")
    page.get_by_text("More settings").click()
    page.get_by_label("Base address").fill(f"{simulator}/v1")
    page.get_by_role("button", name="Check and continue").click()
    expect(page.get_by_role("alert")).to_contain_text("they may not read the bill")
    assert audit(page, allow=422) == []

    page.get_by_label("Admin key").fill(KEY)
    page.get_by_role("button", name="Check and continue").click()
    expect(page.get_by_role("heading", name="OpenAI accepts the credentials")).to_be_visible()
    assert audit(page) == []
    page.get_by_label("Read the bill").select_option("daily")
    since = timezone.now().date() - dt.timedelta(days=DAYS - 1)
    page.get_by_label("History from").fill(since.isoformat())
    page.get_by_role("button", name="Start reading the bill").click()
    expect(page.get_by_text(f"0 of {DAYS} days")).to_be_visible()

    page.get_by_role("button", name="Cancel the run").click()
    expect(page.get_by_text("The run ends; what it read stays.")).to_be_visible()
    finish(Job.objects.get(kind=KIND))
    expect(page.locator("#billing-state .badge", has_text="Cancelled")).to_be_visible()
    page.get_by_role("button", name="Resume the run").click()
    expect(page.locator("#billing-state .badge", has_text="Waiting")).to_be_visible()
    finish(Job.objects.filter(kind=KIND).latest("created_at"))
    # The page finds out by itself, its chart too.
    expect(page.get_by_text(f"{DAYS} of {DAYS} days")).to_be_visible()
    expect(page.locator("#billing-chart .plot-svg")).to_be_visible()
    run = ProviderSync.objects.latest("created_at")
    lines = list(BilledCost.objects.filter(account=run.account))
    assert (run.state, len(lines)) == ("done", DAYS)
    assert sum(line.amount for line in lines) == DAYS * Decimal("1.01")
    assert audit(page) == []
    assert KEY not in page.content()

    page.get_by_role("link", name="Which project its keys belong to").click()
    page.get_by_label("key_1 belongs to").select_option(label="Outside LLMLab")
    page.get_by_role("button", name="Save assignments").click()
    expect(page.get_by_text("1 assignment changed.")).to_be_visible()
    assert audit(page) == []


def test_every_billing_page_is_sound_on_a_phone_in_the_dark(
    page_for: PageFor, world: World
) -> None:
    page = page_for(world.people["owner"], theme="dark", width=390)
    base = f"/organizations/{world.organization.slug}/billing/"
    one = f"{base}connections/{world.names['billing_connection']}/"
    for path in (
        "",
        "lines/",
        "corrections/",
        "connections/new/",
        "connections/new/?provider=google",
    ):
        page.goto(base + path)
        assert audit(page) == [], path
    for path in ("", "edit/", "access/", "mappings/"):
        page.goto(one + path)
        assert audit(page) == [], path
