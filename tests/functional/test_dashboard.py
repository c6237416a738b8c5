"""The dashboard by hand: zooming by mouse, touch and keyboard, arranging by keyboard, state that survives a reload."""

import datetime as dt
import re
from urllib.parse import parse_qs, urlsplit

import pytest
from django.utils import timezone

from tests.functional.browser import PageFor, Remote, audit, expect
from tests.traces.spans import context_for, llm
from tests.world import World, make_world
from traces.ingest.write import write_spans

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
WEEK = "/projects/checkout/dashboard/?range=7d&group=model"


@pytest.fixture
def world(transactional_db: None) -> World:
    """A call on each of six days."""
    world = make_world()
    now = timezone.now()
    for day in range(6):
        at = now - dt.timedelta(days=day, minutes=30)
        call = llm("call", trace_id=f"day{day}", started_at=at, request_model="gpt-5-mini")
        write_spans(context_for(world.project), [call], now=now)
    return world


def range_of(page: Remote) -> str:
    return parse_qs(urlsplit(page.url).query)["range"][0]


def days(first: int, last: int) -> str:
    """The range of `first` to `last` days ago, both included, as the address has it."""
    today = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    start, end = today - dt.timedelta(days=first), today - dt.timedelta(days=last - 1)
    return f"{start:%Y-%m-%dT%H:%M}Z..{end:%Y-%m-%dT%H:%M}Z"


def chart_box(page: Remote) -> dict[str, float]:
    chart = page.locator("#panel-spend .plot-svg").first
    expect(chart).to_be_visible()
    chart.scroll_into_view_if_needed()
    found: dict[str, float] = chart.bounding_box()
    return found


def test_a_drag_zooms_and_back_undoes_it(page_for: PageFor, world: World) -> None:
    page = page_for(world.people["viewer"])
    page.goto(WEEK)
    box = chart_box(page)
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 2.5 / 7, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 4.5 / 7, y, steps=5)
    expect(page.locator("#panel-spend .zoom-band")).to_be_visible()
    page.mouse.up()
    page.wait_for_url(re.compile(r"range=\d{4}"))
    assert range_of(page) == days(4, 2)
    assert "group=model" in page.url
    expect(page.locator("#panel-spend .col")).to_have_count(3)
    page.go_back()
    expect(page.locator("#panel-spend .col")).to_have_count(7)
    assert audit(page) == []


def test_escape_lets_a_drag_go_and_a_click_still_opens_the_bar(
    page_for: PageFor, world: World
) -> None:
    page = page_for(world.people["viewer"])
    page.goto(WEEK)
    box = chart_box(page)
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 20, y)
    page.mouse.down()
    page.mouse.move(box["x"] + 220, y, steps=4)
    page.keyboard.press("Escape")
    expect(page.locator("#panel-spend .zoom-band")).to_be_hidden()
    page.mouse.up()
    assert page.url.endswith(WEEK)
    page.mouse.click(box["x"] + box["width"] * 5.5 / 7, y)
    page.wait_for_url(re.compile(r"/traces/"))


def test_the_keyboard_zooms_alike(page_for: PageFor, world: World) -> None:
    page = page_for(world.people["viewer"])
    page.goto(WEEK)
    figure = page.locator("#panel-spend [data-chart]")
    expect(figure).to_have_attribute("aria-label", re.compile("Enter zooms in"))
    figure.focus()
    for key in ("ArrowLeft", "Shift+ArrowLeft", "Shift+ArrowLeft"):
        page.keyboard.press(key)
    expect(page.locator("#announcer")).to_contain_text("Enter zooms in.")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"range=\d{4}"))
    assert range_of(page) == days(2, 0)


def test_a_finger_zooms_alike(page_for: PageFor, world: World) -> None:
    page = page_for(world.people["viewer"], width=390, has_touch=True, is_mobile=True)
    page.goto(WEEK)
    box = chart_box(page)
    y = box["y"] + box["height"] / 2
    session = page.context.new_cdp_session(page)

    def touch(kind: str, share: float) -> None:
        points = [{"x": box["x"] + box["width"] * share, "y": y}] if kind != "touchEnd" else []
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", 0.5 / 7)
    for place in range(1, 6):
        touch("touchMove", (0.5 + place * 0.4) / 7)
    touch("touchEnd", 0)
    page.wait_for_url(re.compile(r"range=\d{4}"))
    assert range_of(page) == days(6, 4)


def test_choices_survive_a_reload(page_for: PageFor, world: World) -> None:
    page = page_for(world.people["viewer"])
    page.goto("/projects/checkout/dashboard/?range=7d")
    page.click("#group-menu")
    page.click("#group-user")
    expect(page.locator("#group-menu")).to_contain_text("User")
    page.click("#running-1")
    expect(page.locator("#spend-h")).to_have_text("Cumulative spend")
    page.reload()
    expect(page.locator("#spend-h")).to_have_text("Cumulative spend")
    expect(page.locator("#group-menu")).to_contain_text("User")


def test_panels_are_arranged_by_keyboard_alone(page_for: PageFor, world: World) -> None:
    page = page_for(world.people["viewer"])
    page.goto("/projects/checkout/dashboard/arrangement/?range=7d")
    page.locator("#down-figures").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#arrangement li").first).to_contain_text("Spend over time")
    expect(page.locator("#down-figures")).to_be_focused()
    page.locator("#hide-mix").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#show-mix")).to_be_visible()
    page.get_by_role("link", name="Done").press("Enter")
    page.wait_for_url(re.compile(r"/dashboard/\?range=7d"))
    expect(page.locator(".board > div").first.locator("#panel-spend")).to_be_visible()
    expect(page.locator("#panel-mix")).to_have_count(0)


def test_panels_are_arranged_without_javascript(page_for: PageFor, world: World) -> None:
    page = page_for(world.people["viewer"], java_script_enabled=False)
    page.goto("/projects/checkout/dashboard/arrangement/")
    page.click("#hide-figures")
    expect(page.locator("#show-figures")).to_be_visible()
    page.goto("/projects/checkout/dashboard/?full=1")
    expect(page.locator("#panel-figures")).to_have_count(0)
    expect(page.locator("#panel-latency")).to_be_visible()
