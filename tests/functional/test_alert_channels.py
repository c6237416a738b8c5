"""Adding a channel by hand: refused, added, tested, and its answer seen without looking again."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import override_settings
from django.utils import timezone

from alerts.delivering import deliver_due
from tests.functional.browser import PageFor, audit, expect
from tests.functional.server import Server, running_server
from tests.world import World, make_world

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture(scope="module")
def server(django_db_setup: None, simulator: str, tmp_path_factory: Any) -> Iterator[Server]:
    """One that may call the simulator."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LLMLAB_OUTBOUND_ALLOW", simulator.removeprefix("http://"))
        with running_server(tmp_path_factory.mktemp("server"), processes=1) as running:
            yield running


@pytest.fixture
def world(transactional_db: None, simulator: str) -> Iterator[World]:
    with override_settings(LLMLAB_OUTBOUND_ALLOW=[simulator.removeprefix("http://")]):
        yield make_world()


def test_a_channel_is_added_and_its_test_watched(
    page_for: PageFor, world: World, simulator: str
) -> None:
    page = page_for(world.people["admin"])
    page.goto(f"/organizations/{world.organization.slug}/alerts/channels/")
    page.get_by_role("link", name="Add a channel").first.click()
    page.get_by_role("link", name="Slack").click()
    page.get_by_label("Name").fill("On call")
    page.get_by_label("Service").select_option("compatible")
    page.get_by_label("Webhook URL").fill("https://169.254.169.254/services/T/B/x")
    page.get_by_role("button", name="Add channel").click()
    expect(page.get_by_text("leads to a private or reserved address")).to_be_visible()
    assert audit(page, allow=422) == []

    page.get_by_label("Webhook URL").fill(f"{simulator}/slack/services/T0/B0/abcdefgh")
    page.get_by_role("button", name="Add channel").click()
    expect(page.get_by_role("heading", name="On call")).to_be_visible()
    page.get_by_role("button", name="Send test").click()
    expect(page.get_by_text("this page looks again by itself")).to_be_visible()
    deliver_due(now=timezone.now)
    expect(page.locator("#channel-state .badge", has_text="Sent").first).to_be_visible()
    expect(page.locator("dd.mono", has_text="ok")).to_be_visible()
    assert audit(page) == []
    assert "abcdefgh" not in page.content()
