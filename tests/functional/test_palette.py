"""⌘K in a browser: opens anywhere, filters pages, finds traces, works by keyboard alone."""

from typing import Any

import pytest

from tests.functional.browser import PageFor, audit, expect
from tests.world import make_world

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_the_palette_opens_filters_finds_and_goes(
    transactional_db: None, page_for: PageFor, server: Any
) -> None:
    world = make_world()
    page = page_for(world.people["member"])
    page.goto("/projects/checkout/settings/")
    page.keyboard.press("Control+k")
    palette = page.locator("#command-palette")
    expect(palette).to_be_visible()
    expect(palette.get_by_role("link", name="Dashboard")).to_be_visible()
    assert audit(page) == []
    page.keyboard.type("refund")
    expect(palette.locator("#palette-found")).to_contain_text("refund-agent")
    expect(palette.get_by_role("link", name="Dashboard")).to_be_hidden()
    page.keyboard.press("Enter")
    page.wait_for_url("**/projects/checkout/traces/t1/")


def test_a_page_and_an_action_by_keyboard(transactional_db: None, page_for: PageFor) -> None:
    world = make_world()
    page = page_for(world.people["member"], width=390, theme="dark")
    page.goto("/projects/checkout/settings/")
    page.keyboard.press("Meta+k")
    page.keyboard.type("toggle dark")
    page.keyboard.press("Enter")
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    expect(page.locator("#command-palette")).to_be_hidden()
    page.keyboard.press("Control+k")
    page.keyboard.type("trac")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url("**/projects/checkout/traces/")
