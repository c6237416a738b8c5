"""Every page in Chromium, light and dark, desk and phone: axe-core, security policy, console, requests, reflow."""

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest
from django.utils import timezone

from tests.factories.feedback import ShareLinkFactory
from tests.factories.projects import ProjectFactory
from tests.functional.browser import PageFor, Remote, audit, expect
from tests.traces.spans import context_for, llm, span
from tests.world import World, make_world
from traces.ingest.write import write_spans

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

WIDTHS = (1440, 390)
THEMES = ("light", "dark")
ANONYMOUS = (
    "/accounts/login/",
    "/accounts/signup/",
    "/accounts/password/reset/",
    "/accounts/password/reset/done/",
    "/accounts/confirm-email/",
)
OWNER = (
    "/projects/",
    "/projects/?status=archived",
    "/projects/new/",
    "/projects/checkout/setup/",
    "/projects/quiet/setup/",
    "/projects/checkout/settings/",
    "/projects/checkout/settings/api-keys/",
    "/projects/checkout/settings/api-keys/new/",
    "/projects/checkout/settings/danger/",
    "/organizations/{organization}/members/",
    "/organizations/{organization}/settings/",
    "/me/",
    "/accounts/email/",
    "/accounts/password/change/",
    "/projects/checkout/dashboard/",
    "/projects/checkout/dashboard/?full=1&group=model&range=7d",
    "/projects/checkout/dashboard/?full=1&bin=hour&running=1&group=user&measure=tokens&range=7d",
    "/projects/checkout/dashboard/arrangement/",
    "/projects/quiet/dashboard/",
    "/projects/checkout/traces/",
    "/projects/quiet/traces/",
    "/projects/checkout/ingestion/",
    "/projects/checkout/ingestion/understood/",
    "/projects/quiet/ingestion/",
    "/projects/checkout/traces/t1/?step=call",
    "/projects/checkout/traces/t1/?view=messages&step=call",
    "/projects/checkout/traces/t1/?view=log&idle=fold&find=call",
    "/projects/checkout/traces/t1/?view=graph",
    "/projects/checkout/traces/t1/models/",
)
_P, _T = "/projects/checkout", "/projects/checkout/traces/t1"
OBSERVE = (
    f"{_P}/traces/?range=7d&peek=t1",
    f"{_P}/traces/?range=7d&q=cost%3Aabc+nothing",
    f"{_P}/traces/?range=24h&tail=1",
    f"{_P}/traces/compare/?a=t1&b=day0",
    f"{_P}/search/?q=refund",
    f"{_P}/search/?q=weekly&match=both&range=30d&skip=2",
    f"{_P}/sessions/",
    f"{_P}/sessions/s1/",
    f"{_P}/users/",
    f"{_P}/users/u1/",
    f"{_P}/errors/",
    f"{_P}/errors/abc123/",
    f"{_P}/scores/",
    f"{_P}/collections/",
    f"{_P}/collections/{{collection_id}}/",
    f"{_T}/feedback/",
    f"{_T}/shares/",
    *(f"/projects/quiet/{page}/" for page in ("sessions", "errors", "scores", "collections")),
)
MANAGE = (
    f"{_P}/models/",
    f"{_P}/models/detail/?provider=openai&model=gpt-5-mini",
    "/projects/quiet/models/",
    "/organizations/{organization}/prices/",
    "/organizations/{organization}/prices/new/?kind=override",
    "/organizations/{organization}/prices/new/?kind=discount",
    "/organizations/{organization}/prices/{rule_number}/",
    "/organizations/{organization}/prices/previews/{preview_id}/",
    f"{_P}/exports/",
    f"{_P}/exports/?kind=collections&query=collection%3D{{collection_id}}",
    "/projects/quiet/exports/",
    "/jobs/",
    "/jobs/{export_id}/",
    f"{_P}/settings/data/",
    f"{_P}/settings/scores/",
    f"{_P}/settings/scores/{{definition_id}}/",
    f"{_P}/settings/shares/",
)
OPERATOR = ("/admin/", "/admin/system/")


@pytest.fixture
def world(transactional_db: None) -> World:
    """The usual small world, a project without data, and a week of calls: many, failed, unpriced, without a cost."""
    world = make_world()
    ProjectFactory(organization=world.organization, slug="quiet", name="Quiet " + "name " * 11)
    now = timezone.now()
    for day in range(6):
        at = now - dt.timedelta(days=day, minutes=30)
        write_spans(context_for(world.project), list(_steps(f"day{day}", at)), now=now)
    return world


def _steps(trace_id: str, at: dt.datetime) -> Iterator[Any]:
    yield span("root", trace_id=trace_id, kind="agent", name="weekly-report", started_at=at)
    models = (
        "gpt-5-mini",
        "claude-sonnet-4-5",
        "text-embedding-3-small",
        "nobody-knows-this-model-70b",
    )
    for number, model in enumerate(models):
        yield llm(
            f"call{number}",
            trace_id=trace_id,
            parent_span_id="root",
            started_at=at,
            request_model=model,
            response_model=model,
            status="error" if number == 1 else "ok",
        )


def _audit_looks(page: Remote, path: str, *, allow: int | None = None) -> list[str]:
    """The page, loaded once, in each theme and at each width. What is no matter of colour is asked of one theme."""
    problems = []
    page.set_viewport_size({"width": WIDTHS[0], "height": 900})
    page.goto(path)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        for theme in THEMES:
            page.emulate_media(color_scheme=theme, reduced_motion="reduce")
            found = audit(page, allow=allow, only_colours=theme != THEMES[0])
            problems += [f"{path} at {width}, {theme}: {text}" for text in found]
    return problems


def _audit_all(page: Remote, paths: tuple[str, ...], **names: Any) -> None:
    problems = []
    for path in paths:
        problems += _audit_looks(page, path.format(**names))
    assert not problems, "\n".join(problems)


def test_account_pages_are_clean(page_for: PageFor, world: World) -> None:
    _audit_all(page_for(), ANONYMOUS)


def test_pages_of_an_owner_are_clean(page_for: PageFor, world: World) -> None:
    _audit_all(page_for(world.people["owner"]), OWNER, **world.names)


def test_what_one_observes_is_clean(page_for: PageFor, world: World) -> None:
    _audit_all(page_for(world.people["owner"]), OBSERVE, **world.names)


def test_what_one_manages_is_clean(page_for: PageFor, world: World) -> None:
    _audit_all(page_for(world.people["owner"]), MANAGE, **world.names)


def test_public_links_are_clean(page_for: PageFor, world: World) -> None:
    """As somebody without an account sees them: with what was said, without it, and when the link is over."""
    ShareLinkFactory.create(project=world.project, token="o" * 43, with_payloads=True)
    ShareLinkFactory.create(project=world.project, token="b" * 43, with_payloads=False)
    page = page_for()
    _audit_all(page, (f"/share/{'o' * 43}/?step=call", f"/share/{'b' * 43}/?view=log"))
    assert not _audit_looks(page, "/share/gone/", allow=404)


DIALOGS = {
    "Control+k": "#command-palette",
    "?": "#shortcut-sheet",
}


def test_dialogs_opened_by_key_are_clean_and_close(page_for: PageFor, world: World) -> None:
    page = page_for(world.people["owner"])
    page.goto("/projects/checkout/traces/")
    for key, dialog in DIALOGS.items():
        page.keyboard.press(key)
        expect(page.locator(dialog)).to_be_visible()
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            assert audit(page) == [], dialog
        page.keyboard.press("Escape")
        expect(page.locator(dialog)).to_be_hidden()


def test_the_sheet_names_every_key_of_the_menu(page_for: PageFor, world: World) -> None:
    page = page_for(world.people["owner"])
    page.goto("/projects/checkout/traces/")
    keys = "els => els.map(el => el.dataset.shortcut)"
    wanted = page.eval_on_selector_all(".side a[data-shortcut]", keys)
    named = (
        "els => els.map(el => [...el.querySelectorAll('kbd')].map(k => k.textContent).join(' '))"
    )
    assert len(wanted) >= 12
    assert page.eval_on_selector_all("[data-keys-go] dt", named) == wanted
    page.keyboard.press("g")
    page.keyboard.press("e")
    page.wait_for_url("**/errors/")


def test_pages_of_a_viewer_are_clean(page_for: PageFor, world: World) -> None:
    _audit_all(page_for(world.people["viewer"]), OWNER[:1] + OWNER[3:6])


def test_error_pages_are_clean(page_for: PageFor, world: World) -> None:
    page = page_for(world.people["owner"])
    problems = _audit_looks(page, "/projects/foreign/dashboard/", allow=404)
    problems += _audit_looks(page, "/projects/checkout/traces/unknown/", allow=404)
    assert not problems, "\n".join(problems)
    expect(page.locator("h1")).to_be_visible()


def test_audit_sees_what_it_looks_for(page_for: PageFor, world: World) -> None:
    """Break a page in each way on purpose; an audit that finds nothing proves nothing."""
    page = page_for(world.people["owner"])
    page.goto("/projects/")
    page.evaluate(
        """() => {
          document.body.insertAdjacentHTML('beforeend',
            '<img src="/static/none.png"><div class="broken" style="color: red">a</div>');
          document.querySelector('.broken').style.marginLeft = '3000px';
          console.error('on purpose');
        }"""
    )
    page.wait_for_load_state("networkidle")
    found = "\n".join(audit(page))
    for part in (
        "axe image-alt: img",
        "csp: style-src-attr inline",
        "console error: on purpose",
        "response 404 GET",
        "sideways scroll: 3008 px in a window of 1440 px",
    ):
        assert part in found
    page.goto("/projects/")
    assert audit(page) == []


def test_failed_panel_says_so_in_its_place_and_retries(page_for: PageFor, world: World) -> None:
    page = page_for(world.people["owner"])
    page.goto("/projects/checkout/dashboard/?range=7d")
    expect(page.locator("#panel-mix .donut")).to_be_visible()
    page.route("**/panels/mix/**", lambda route: route.abort())
    page.click("#mix-menu")
    page.click("#mix-model")
    box = page.locator("#panel-mix .panel-error")
    expect(box).to_have_text("This panel could not be loaded. The server cannot be reached.Retry")
    expect(page.locator("#panel-mix .donut")).to_be_visible()
    expect(page.locator("#toasts .toast")).to_have_count(0)
    page.unroute("**/panels/mix/**")
    box.get_by_role("button", name="Retry").click()
    expect(page.locator("#mix-model")).to_have_attribute("aria-current", "true")
    expect(page.locator("#panel-mix .panel-error")).to_have_count(0)


def test_refused_panel_shows_the_servers_words(page_for: PageFor, world: World) -> None:
    page = page_for(world.people["owner"])
    page.goto("/projects/checkout/dashboard/?range=7d")
    expect(page.locator("#mix-menu")).to_be_visible()
    page.evaluate(
        "() => document.querySelector('#mix-model').setAttribute('hx-get', "
        "'/projects/checkout/dashboard/panels/mix/?range=nonsense')"
    )
    page.evaluate("() => htmx.process(document.querySelector('#panel-mix'))")
    page.click("#mix-menu")
    page.click("#mix-model")
    expect(page.locator("#panel-mix .panel-error")).to_contain_text("range")


def test_setup_snippets_are_chosen_by_keyboard_and_without_javascript(
    page_for: PageFor, world: World
) -> None:
    page = page_for(world.people["owner"], java_script_enabled=False)
    page.goto("/projects/checkout/setup/")
    expect(page.locator("#code-python")).to_be_visible()
    expect(page.locator("#install-javascript")).to_be_hidden()
    page.locator("input[value=python]").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#install-javascript")).to_be_visible()
    expect(page.locator("#code-python")).to_be_hidden()
    page.get_by_role("button", name="Create a key to send with").click()
    key = page.locator("#raw-key").text_content()
    assert key.startswith("llmlab_sk_")
    for name in ("python", "javascript", "go", "otel", "curl"):
        assert key in page.locator(f"#code-{name}").text_content()


def test_operator_pages_answer(page_for: PageFor, world: World) -> None:
    page = page_for(world.people["operator"])
    for path in OPERATOR:
        answer = page.goto(path)
        assert (path, answer.status) == (path, 200)
