"""The trace list in Chromium: query bar and its offers, facets, peek by keyboard, views, compare, bulk with undo."""

import re
from typing import Any

import pytest

from accounts.models import Role, User
from tests.factories.accounts import MembershipFactory, OrganizationFactory
from tests.factories.feedback import ScoreFactory
from tests.factories.projects import ProjectFactory
from tests.factories.traces import TraceFactory
from tests.functional.browser import PageFor, audit, expect
from tests.functional.server import Server
from traces.models import SavedView, Trace

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
LIST = "/projects/shop/traces/"


@pytest.fixture
def mina(transactional_db: Any) -> User:
    organization = OrganizationFactory()
    project = ProjectFactory(organization=organization, slug="shop")
    for n in range(6):
        TraceFactory(
            project=project,
            trace_id=f"t{n}",
            name=f"run-{n}",
            failed=n == 2,
            environment="dev" if n == 4 else "production",
        )
    user: User = MembershipFactory(organization=organization, role=Role.MEMBER).user
    return user


@pytest.mark.parametrize(("theme", "width"), [("light", 1440), ("dark", 390)])
def test_finding_looking_and_changing(
    page_for: PageFor, server: Server, mina: User, theme: str, width: int
) -> None:
    page = page_for(mina, theme, width)
    page.goto(f"{LIST}?range=7d")
    rows = page.locator("#trace-rows tr")
    expect(rows).to_have_count(6)
    assert audit(page) == []

    # The query bar by keyboard alone: key, value, result; the address says it.
    bar = page.locator("#trace-q")
    bar.focus()
    page.keyboard.type("sta")
    expect(page.get_by_role("option", name="status:")).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(bar).to_have_value("status:")
    expect(page.get_by_role("option", name=re.compile("^error"))).to_be_visible()
    page.keyboard.type("err")
    expect(page.locator("#query-offers [role=option]")).to_have_count(1)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(rows).to_have_count(1)
    page.wait_for_url("**status=error**")
    page.keyboard.press("Escape")
    # What is still being written is no mistake yet; what is left behind is.
    page.keyboard.type("cost:")
    expect(page.locator("#query-state[data-unfinished]")).to_have_count(1)
    expect(page.locator("#query-problems")).to_be_empty()
    page.keyboard.type(">abc ")
    expect(page.locator("#query-problems u")).to_have_text("cost:>abc")
    page.keyboard.press("Escape")
    assert audit(page) == []

    # Peek: opened by its link, walked with j, closed with Escape.
    page.goto(f"{LIST}?range=7d")
    first, second = (rows.nth(n).get_attribute("data-trace") for n in (0, 1))
    rows.nth(0).get_by_role("link").first.click()
    page.wait_for_url(f"**peek={first}")
    expect(page.locator("#peek h2")).to_be_visible()
    page.keyboard.press("j")
    page.wait_for_url(f"**peek={second}")
    assert audit(page) == []
    page.keyboard.press("Escape")
    expect(page.locator("#peek")).to_be_empty()

    # Two rows: tagged, taken back, compared.
    rows.nth(0).get_by_role("checkbox").check()
    rows.nth(1).get_by_role("checkbox").check()
    page.locator("#bulk-tag").fill("gold")
    page.get_by_role("button", name="Tag", exact=True).click()
    expect(page.locator("#toasts")).to_contain_text("2 traces tagged")
    assert Trace.objects.filter(project__slug="shop", tags=["gold"]).count() == 2
    page.locator("#toasts").get_by_role("button", name="Undo").click()
    expect(page.locator("#toasts")).to_contain_text("Undone for 2 traces")
    assert Trace.objects.filter(project__slug="shop", tags=["gold"]).count() == 0
    rows.nth(0).get_by_role("checkbox").check()
    rows.nth(2).get_by_role("checkbox").check()
    page.get_by_role("button", name="Compare two").click()
    expect(page.locator(".compare-facts")).to_contain_text("same")
    assert audit(page) == []

    # A view: saved, changed, opened again.
    page.goto(f"{LIST}?range=7d&environment=dev")
    page.locator("#list-views summary").click()
    page.get_by_label("Save as a new view").fill("Dev runs")
    page.locator("#list-views").get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#list-views summary")).to_contain_text("Dev runs")
    view = SavedView.objects.get()
    assert view.query == "range=7d&environment=dev"
    page.goto(f"{LIST}?view={view.pk}")
    expect(rows).to_have_count(1)
    assert audit(page) == []


def test_a_half_typed_part_warns_once_the_field_is_left(page_for: PageFor, mina: User) -> None:
    page = page_for(mina)
    page.goto(f"{LIST}?range=7d")
    page.locator("#trace-q").focus()
    page.keyboard.type("run status:err")
    expect(page.locator("#query-state[data-unfinished]")).to_have_count(1)
    expect(page.locator("#query-problems")).to_be_empty()
    page.keyboard.press("Tab")
    expect(page.locator("#query-problems u")).to_have_text("status:err")
    expect(page.locator("#trace-q")).to_have_value("run status:err")


@pytest.mark.parametrize("width", [1280, 1440])
def test_the_peek_leaves_every_column_its_room(page_for: PageFor, mina: User, width: int) -> None:
    Trace.objects.update(duration_ms=123_456.0, input_tokens=123_456_789)
    page = page_for(mina, "light", width)
    page.goto(f"{LIST}?range=7d&peek=t1")
    expect(page.locator("#peek h2")).to_be_visible()
    assert (
        page.eval_on_selector(
            ".scroll-x:has(> .trace-table)", "box => box.scrollWidth - box.clientWidth"
        )
        == 0
    )
    expect(page.locator("#trace-rows .c-status").first).to_be_in_viewport(ratio=1)


def test_the_boxes_of_rows_are_large_enough_to_hit(page_for: PageFor, mina: User) -> None:
    page = page_for(mina)
    page.goto(f"{LIST}?range=7d")
    size = page.eval_on_selector(".c-pick label", "el => [el.offsetWidth, el.offsetHeight]")
    assert min(size) >= 24
    # Its corner, outside the box itself, ticks it too.
    page.locator(".c-pick label").first.click(position={"x": 2, "y": 2})
    expect(page.locator("input[name=ids]").first).to_be_checked()


def test_scores_are_filtered_at_once(page_for: PageFor, mina: User) -> None:
    project = Trace.objects.get(trace_id="t0").project
    for value, name in ((0.2, "grounded"), (0.9, "grounded"), (1, "thumbs")):
        ScoreFactory(project=project, trace_id="t0", name=name, value=value)
    page = page_for(mina)
    page.goto("/projects/shop/scores/?range=7d")
    rows = page.locator("#score-results tbody tr")
    expect(rows).to_have_count(3)
    expect(page.get_by_role("button", name="Filter", exact=True)).to_have_count(0)
    page.locator("select[name=name]").select_option("grounded")
    page.wait_for_url("**/scores/?range=7d&name=grounded")
    expect(rows).to_have_count(2)
    expect(page.locator("#score-summary h2").first).to_have_text("How grounded spreads")
    page.get_by_label("Lowest value").fill("0.5")
    page.wait_for_url("**&min=0.5")
    expect(rows).to_have_count(1)
    assert (page.get_attribute("#score-csv", "href") or "").endswith(
        "range=7d&name=grounded&min=0.5"
    )
    assert audit(page) == []
    page.go_back()
    expect(rows).to_have_count(2)
    expect(page.locator("select[name=name]")).to_have_value("grounded")
