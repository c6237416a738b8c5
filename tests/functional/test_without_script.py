"""The main lists and forms with JavaScript switched off: links and posts alone must do."""

import re

import pytest

from tests.functional.browser import PageFor, Remote, expect
from tests.world import World, make_world

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

P = "/projects/checkout"
LISTS = ("traces", "sessions", "users", "errors", "scores", "collections", "models", "exports")


@pytest.fixture
def world(transactional_db: None) -> World:
    return make_world()


@pytest.fixture
def page(page_for: PageFor, world: World) -> Remote:
    return page_for(world.people["owner"], java_script_enabled=False)


def test_every_list_is_read_filtered_and_left_by_links(page: Remote) -> None:
    page.goto(f"{P}/dashboard/?full=1&range=7d")
    expect(page.locator("#panel-figures")).to_contain_text("Calls")
    for name in LISTS:
        page.locator(f'.side a[href="{P}/{name}/"]').last.click()
        page.wait_for_url(f"**{P}/{name}/**")
        assert page.locator("h1").count() == 1, name
    page.goto(f"{P}/traces/?range=7d")
    expect(page.locator("tr[data-trace=t1]")).to_be_visible()
    page.fill("#trace-q", "status:error")
    page.press("#trace-q", "Enter")
    expect(page.get_by_role("heading", name="No trace matches")).to_be_visible()
    page.goto(f"{P}/sessions/")
    page.fill('#activity-filter input[name="q"]', "nobody")
    page.get_by_role("button", name="Apply").first.click()
    expect(page).to_have_url(re.compile("q=nobody"))
    page.goto(f"{P}/models/")
    page.select_option('select[name="status"]', index=1)
    page.get_by_role("button", name="Apply").first.click()
    expect(page).to_have_url(re.compile("status=[a-z]+"))


def test_a_trace_is_read_scored_and_commented(page: Remote) -> None:
    page.goto(f"{P}/traces/?range=7d")
    page.locator("tr[data-trace=t1] a").first.click()
    for view in ("Messages", "Log", "Graph"):
        page.locator("main").get_by_role("link", name=view, exact=True).first.click()
        page.wait_for_url(f"**view={view.lower()}**")
    page.goto(f"{P}/traces/t1/feedback/")
    page.get_by_title("Good").first.click()
    expect(page.get_by_title("Good").first).to_have_attribute("aria-pressed", "true")
    page.locator('textarea[name="text"]').first.fill("Read without a script")
    page.locator("form:has(textarea[name=text]) button[type=submit]").first.click()
    expect(page.locator("main")).to_contain_text("Read without a script")


def test_forms_keep_what_was_typed_and_say_what_is_wrong(page: Remote, world: World) -> None:
    page.goto(f"/organizations/{world.names['organization']}/prices/new/?kind=override")
    page.fill('input[name="model"]', "house-model")
    page.fill('textarea[name="note"]', "from the contract")
    page.get_by_role("button", name="Preview the change").click()
    expect(page.locator("[aria-invalid=true], .error, .note.bad").first).to_be_visible()
    expect(page.locator('input[name="model"]')).to_have_value("house-model")
    expect(page.locator('textarea[name="note"]')).to_have_value("from the contract")
    page.goto(f"{P}/settings/data/")
    page.check("input[value=plain]")
    page.get_by_role("button", name="Save").first.click()
    expect(page.locator("input[value=plain]")).to_be_checked()
    page.goto(f"{P}/collections/")
    page.fill('form input[name="name"]', "Hard cases")
    page.get_by_role("button", name="Create").click()
    expect(page.locator("h1")).to_have_text("Hard cases")
    page.goto(f"{P}/exports/")
    page.get_by_role("button", name="Export", exact=True).click()
    expect(page.locator("main")).to_contain_text("Cost records")
