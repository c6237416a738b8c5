"""What a team does on its first day, in Chromium against the real server: sign up, make a project and a key, send steps
from a program, see them arrive, open one."""

import datetime as dt
import re
from typing import Any

import httpx2
import pytest

from accounts.models import User
from projects.models import Project
from tests.functional.browser import PageFor, Remote, audit, expect
from tests.functional.server import Server

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

STARTED = dt.datetime.now(dt.UTC).isoformat()


def _send(server: Server, key: str, slug: str, trace: dict[str, Any]) -> str:
    """What the program's SDK does; returns the result of the one trace."""
    answer = httpx2.post(
        f"{server.url}/api/v1/projects/{slug}/traces",
        headers={"Authorization": f"Bearer {key}"},
        json={"traces": [trace]},
        timeout=10,
    )
    assert answer.status_code == 207, answer.text
    result: str = answer.json()["results"][0]["result"]
    return result


def _trace(status: str, *steps: dict[str, Any]) -> dict[str, Any]:
    return {
        "trace_id": "first-trace",
        "name": "refund-agent",
        "status": status,
        "started_at": STARTED,
        "user": "cus_8841",
        "environment": "production",
        "steps": list(steps),
    }


def _plan(status: str) -> dict[str, Any]:
    step: dict[str, Any] = {
        "id": "plan",
        "type": "llm",
        "name": "plan",
        "status": status,
        "started_at": STARTED,
        "provider": "openai",
        "model": "gpt-5-mini",
        "input": [{"role": "user", "content": "I was charged twice, please refund order 55180."}],
    }
    if status == "ok":
        step |= {
            "latency_ms": 840,
            "input_tokens": 10_000,
            "output_tokens": 1_000,
            "output": "I will refund it.",
        }
    return step


def _sign_up(page: Remote, email: str) -> None:
    page.goto("/accounts/signup/")
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password", exact=True).fill("correct horse battery")
    page.get_by_role("button", name="Create account").click()


def _make_project(page: Remote, name: str) -> None:
    page.goto("/projects/new/")
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Create project").click()
    page.wait_for_url("**/projects/checkout/setup/")


@pytest.mark.parametrize(("theme", "width"), [("light", 1440), ("dark", 390)])
def test_from_sign_up_to_an_open_step(
    page_for: PageFor,
    server: Server,
    transactional_db: Any,
    theme: str,
    width: int,
) -> None:
    page = page_for(None, theme, width)
    _sign_up(page, "mina@acme.example")
    assert User.objects.get().email == "mina@acme.example"
    assert audit(page) == []

    _make_project(page, "Checkout")
    page.get_by_role("button", name="Create a key to send with").click()
    key = page.locator("#raw-key").inner_text()
    assert key.startswith("llmlab_sk_")
    expect(page.locator("body")).to_contain_text("The first trace opens here by itself")
    assert audit(page) == []

    # The program starts: its trace is running. The page that waits for it opens it by itself.
    assert _send(server, key, "checkout", _trace("running", _plan("running"))) == "stored"
    page.wait_for_url("**/traces/first-trace/**")
    row = page.get_by_role("treeitem", name=re.compile("^plan"))
    expect(row).to_have_attribute("data-running", "")
    assert audit(page) == []

    # The step ends, a tool fails, the trace ends: the open page follows without a reload.
    page.evaluate("window.stayed = true")
    tool = {
        "id": "refund",
        "type": "tool",
        "name": "issue_refund",
        "status": "error",
        "started_at": STARTED,
        "latency_ms": 610,
        "error": {"type": "StripeError", "message": "charge already refunded"},
    }
    ended = _trace("ok", _plan("ok"), tool) | {"duration_ms": 1500}
    assert _send(server, key, "checkout", ended) == "stored"
    expect(page.get_by_role("treeitem", name=re.compile("^issue_refund.*error"))).to_be_visible()
    expect(row).to_contain_text("$0.0045")
    expect(page.locator("main")).to_contain_text("10,000 in")
    assert page.evaluate("window.stayed") is True

    # Open the step: what was said, what it cost and at which price.
    row.get_by_role("link").click()
    pane = page.locator("#step-detail")
    expect(pane).to_contain_text("please refund order 55180")
    assert "step=plan" in page.url
    pane.get_by_role("link", name="Cost").click()
    expect(pane).to_contain_text("$0.0025")
    expect(pane).to_contain_text("$0.002")
    expect(pane).to_contain_text("genai-prices")
    assert audit(page) == []

    # The dashboard and the list say the same.
    page.goto("/dashboard/")
    expect(page.locator("main")).to_contain_text("$0.0045")
    assert audit(page) == []
    page.goto("/traces/")
    expect(page.locator("main")).to_contain_text("refund-agent")
    assert audit(page) == []
    assert Project.objects.get().first_trace_at is not None
