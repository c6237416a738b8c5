"""The playground by hand: one answer, two side by side, one stopped; the cost that is shown is the ledger's."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from redis import Redis

from costs.models import CostRecord
from gateway.models import GatewaySettings, LLMRequest
from projects.models import Project
from tests.functional.browser import PageFor, Remote, audit, expect
from tests.gateway.door.conftest import connect, running_worker
from tests.world import World, make_world

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
PATH = "/projects/checkout/gateway/playground/"


@pytest.fixture
def world(transactional_db: None, simulator: str, settings: Any) -> Iterator[World]:
    with Redis.from_url(settings.REDIS_URL) as client:
        client.flushdb()
    made = make_world()
    GatewaySettings.objects.create(project=made.project, rules={"on_client_gone": "cancel"})
    connect(made.project, "openai", f"{simulator}/v1")
    connect(made.project, "anthropic", simulator)
    with running_worker(simulator):
        yield made


def charged(project: Project) -> list[Decimal]:
    """What the ledger says of the calls of this test, oldest first."""
    rows = LLMRequest.objects.filter(project=project, api_key_id=None).exclude(user_id="")
    ids = list(rows.exclude(span_id="").order_by("accepted_at").values_list("trace_id", flat=True))
    found = dict(
        CostRecord.objects.filter(project=project, trace_id__in=ids).values_list(
            "trace_id", "cost_usd"
        )
    )
    return [found[one] for one in ids]


def shown(page: Remote) -> list[Decimal]:
    costs = page.locator("[data-result] [data-cost]")
    return [Decimal(costs.nth(place).get_attribute("data-cost")) for place in range(costs.count())]


def test_a_run_a_comparison_and_a_stop(page_for: PageFor, world: World) -> None:
    page = page_for(world.people["member"])
    page.goto(f"{PATH}?model=gpt-4o-mini&max_completion_tokens=40")
    text = page.get_by_role("group", name="Messages").get_by_label("Text")
    text.fill("")
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_text("Write something, or remove this message.")).to_be_visible()
    text.fill("Say something about the sea.")
    text.press("Control+Enter")
    answer = page.get_by_role("region", name="Text of the answer")
    expect(page.locator("[data-result]")).to_contain_text("Went to gpt-4o-mini")
    assert len(answer.first.inner_text()) > 20
    assert shown(page) == charged(world.project)
    assert shown(page)[0] > 0
    assert audit(page) == []

    page.get_by_role("button", name="Compare with another").click()
    page.get_by_label("Model or route").nth(1).fill("claude-haiku-4-5")
    page.get_by_role("button", name="Run").click()
    expect(page.locator("[data-result]").nth(1)).to_contain_text("Went to claude-haiku-4-5")
    expect(page.locator("[data-result]").nth(0)).to_contain_text("Went to gpt-4o-mini")
    assert sorted(shown(page)) == sorted(charged(world.project)[1:])

    page.get_by_role("button", name="Remove this column").nth(1).click()
    page.get_by_label("Model or route").fill("gpt-4o-mini+slow:60")
    page.get_by_role("button", name="Run").click()
    expect(page.locator("[data-column]")).to_have_attribute("aria-busy", "true")
    page.keyboard.press("Escape")
    expect(page.get_by_text("Stopped before it began")).to_be_visible()
    expect(page.locator("#pg-runs tbody tr").first).to_contain_text("Cancelled")
    expect(page.locator("#pg-runs tbody tr")).to_have_count(4)
    assert audit(page) == []
