"""Debian's Chromium for functional tests: tabs of a person in any theme and width, and an audit of what they show.

Playwright's synchronous interface keeps an event loop running in its thread, which Django's ORM and pytest-asyncio
rightly refuse to share. So it lives in a thread of its own; tests hold `Remote` objects, whose every use happens there.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import axe_playwright_python
import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import expect as playwright_expect
from playwright.sync_api import sync_playwright

from tests.functional.server import Server

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
HEIGHTS = {1440: 900, 390: 844}
# How long a page may take before a test gives up. Speed has tests of its own: on a busy machine slow is not wrong.
PATIENCE_MS = 30_000
AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
# `preload` would fetch our style sheets again by XMLHttpRequest; they are readable as they are.
RUN_AXE = """axe.run(document, {
  runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa', 'best-practice'],
  resultTypes: ['violations'], preload: false,
}).then(found => JSON.stringify(found.violations.map(
  rule => `axe ${rule.id}: ${rule.nodes.slice(0, 3).map(node => node.target.join(' ')).join(' | ')}`)))"""
# Light and dark differ in colours only: the other rules need no second look.
RUN_CONTRAST = RUN_AXE.replace(
    "['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa', 'best-practice']",
    "{ type: 'rule', values: ['color-contrast', 'link-in-text-block'] }",
)
WATCH_CSP = """window.cspViolations = [];
addEventListener('securitypolicyviolation', event =>
  window.cspViolations.push(`${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile}`));"""
# Two frames: what a resize or a theme set in motion has been drawn.
DRAWN = "new Promise(drawn => requestAnimationFrame(() => requestAnimationFrame(() => drawn(0))))"
OVERFLOW = "[document.documentElement.scrollWidth, window.innerWidth]"


class Remote:
    """A Playwright object of the browser thread; looks, calls and `with` blocks run there."""

    def __init__(self, thread: ThreadPoolExecutor, value: Any) -> None:
        self._thread, self._value = thread, value

    def __getattr__(self, name: str) -> Any:
        return self._run(lambda: getattr(self._value, name))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        plain = [_plain(value) for value in args]
        named = {name: _plain(value) for name, value in kwargs.items()}
        return self._run(lambda: self._value(*plain, **named))

    def __enter__(self) -> Any:
        return self._run(self._value.__enter__)

    def __exit__(self, *error: Any) -> Any:
        return self._run(lambda: self._value.__exit__(*error))

    def _run(self, work: Callable[[], Any]) -> Any:
        return _wrap(self._thread, self._thread.submit(work).result())


def _wrap(thread: ThreadPoolExecutor, value: Any) -> Any:
    if isinstance(value, list):
        return [_wrap(thread, item) for item in value]
    ours = callable(value) or type(value).__module__.startswith("playwright.")
    return Remote(thread, value) if ours else value


def _plain(value: Any) -> Any:
    return value._value if isinstance(value, Remote) else value


def expect(thing: Remote) -> Any:
    """Playwright's `expect` for a remote page or locator."""
    return Remote(thing._thread, playwright_expect)(thing)


@pytest.fixture(scope="session")
def browser() -> Iterator[Remote]:
    """One Chromium for all tests of a worker; each page has its own context."""
    if not CHROMIUM:
        pytest.fail("No chromium on the PATH. Install it with: make browser")
    with ThreadPoolExecutor(1, thread_name_prefix="browser") as thread:
        playwright = thread.submit(lambda: sync_playwright().start()).result()
        playwright_expect.set_options(timeout=PATIENCE_MS)
        chromium = Remote(thread, playwright.chromium)
        running = chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            yield running
        finally:
            running.close()
            thread.submit(playwright.stop).result()


PageFor = Callable[..., Remote]


@pytest.fixture
def page_for(browser: Remote, server: Server) -> Iterator[PageFor]:
    """`page_for(user or None, theme="light", width=1440, **context)`: an empty tab; paths start at `server.url`."""
    contexts: list[Remote] = []

    def open_page(user: Any = None, theme: str = "light", width: int = 1440, **more: Any) -> Remote:
        context = browser.new_context(
            base_url=server.url,
            color_scheme=theme,
            reduced_motion="reduce",  # or colours are measured half way between two themes
            viewport={"width": width, "height": HEIGHTS.get(width, 900)},
            **more,
        )
        contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        context.add_init_script(WATCH_CSP)
        page = context.new_page()
        _watch(page)
        if user is not None:
            login(page, server, user)
        return page

    yield open_page
    for context in contexts:
        context.close()


def login(page: Remote, server: Server, user: Any) -> None:
    """Give the page's context a session of this user; the sign-in form has tests of its own."""
    client = Client()
    client.force_login(user)
    name = settings.SESSION_COOKIE_NAME
    page.context.add_cookies(
        [{"name": name, "value": client.cookies[name].value, "url": server.url}]
    )


_seen: dict[int, list[str]] = {}


def _watch(page: Remote) -> None:
    """Note what goes wrong in the page, from its first request on."""
    found = _seen[id(page._value)] = []

    def on_console(message: Any) -> None:
        if message.type in {"error", "warning"}:
            found.append(
                f"console {message.type}: {message.text} {message.location.get('url', '')}"
            )

    def on_response(response: Any) -> None:
        if response.status >= 400:
            found.append(f"response {response.status} {response.request.method} {response.url}")

    page.on("console", on_console)
    page.on("response", on_response)
    page.on("pageerror", lambda error: found.append(f"script error: {error}"))
    page.on("requestfailed", lambda request: _note_failure(found, request))


def _note_failure(found: list[str], request: Any) -> None:
    # A page that is left, or a panel that is asked for again, ends its open requests.
    if request.failure != "net::ERR_ABORTED":
        found.append(f"request failed: {request.url} {request.failure}")


def audit(page: Remote, *, allow: int | None = None, only_colours: bool = False) -> list[str]:
    """Everything wrong with the page as it stands; empty when all is well.

    Console errors, failed responses and CSP violations since the last audit, axe-core's rules, sideways scroll.
    `allow` is the status the document itself may have (an error page); `only_colours` asks axe for contrast alone.
    """
    _settle(page)
    found = _seen[id(page._value)]
    problems = [text for text in found if not _is_expected(text, page.url, allow)]
    found.clear()
    session = page.context.new_cdp_session(page)
    evaluate(session, DRAWN)
    problems += [f"csp: {text}" for text in evaluate(session, "window.cspViolations.splice(0)")]
    # Once per document: a theme or a width later it is still there.
    if not evaluate(session, "'axe' in window"):
        evaluate(session, f"{AXE}; 0")
    problems += json.loads(evaluate(session, RUN_CONTRAST if only_colours else RUN_AXE))
    content, window = evaluate(session, OVERFLOW)
    session.detach()
    if content > window:
        problems.append(f"sideways scroll: {content} px in a window of {window} px")
    return problems


def _settle(page: Remote) -> None:
    """Until the page is loaded and its panels have answered, those too that wait until they are seen."""
    page.wait_for_load_state("load")
    page.wait_for_function(
        """() => {
          document.querySelector('[data-panel] > .skel-stack')?.scrollIntoView({ block: 'center' });
          return !document.querySelector('.htmx-request, .htmx-swapping, .htmx-settling, [data-panel] > .skel-stack');
        }"""
    )
    page.evaluate("() => scrollTo(0, 0)")


def _is_expected(text: str, url: str, allow: int | None) -> bool:
    return allow is not None and str(allow) in text and text.endswith(url)


def evaluate(session: Remote, expression: str) -> Any:
    """Run an expression through the debugger's door, which the content security policy does not close."""
    answer = session.send(
        "Runtime.evaluate",
        {"expression": expression, "awaitPromise": True, "returnByValue": True},
    )
    if "exceptionDetails" in answer:
        raise AssertionError(f"{expression[:80]}: {answer['exceptionDetails']}")
    return answer["result"].get("value")
