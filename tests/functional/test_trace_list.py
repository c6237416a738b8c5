"""The trace list in Chromium: query bar and its offers, facets, peek by keyboard, views, compare, bulk with undo."""

import re
from typing import Any

import pytest

from accounts.models import Role, User
from tests.factories.accounts import MembershipFactory, OrganizationFactory
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
    page.keyboard.type("cost:>abc ")
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
