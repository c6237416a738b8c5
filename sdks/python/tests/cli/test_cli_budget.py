"""`llmlab budget`: how budgets stand, with bars, and an exit code for pipelines."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from cli_server import Server, answer

from llmlab.cli.commands.budget import bar

ANSWER = json.loads(
    (Path(__file__).resolve().parents[3] / "contract" / "budgets.json").read_text(encoding="utf-8")
)["answer"]
PATH = "GET /api/v1/projects/shop/budgets"


@pytest.fixture(autouse=True)
def _budgets(logged_in: Server) -> None:
    rows = [
        {
            **row,
            "period": "monthly",
            "rolling_days": None,
            "unpriced_calls": 0,
            "is_blocking": row["is_hard"],
        }
        for row in ANSWER["results"]
    ]
    logged_in.routes[PATH] = answer({**ANSWER, "results": rows})


def test_the_list_has_bars_and_every_digit(cli: Any, logged_in: Server) -> None:
    code, out, _ = cli("budget", "list", "--user", "ada", "--tag", "x", "--tag", "team:core")
    assert code == 0
    assert logged_in.requests[-1]["query"] == {"user": ["ada"], "tag": ["x", "team:core"]}
    (everything,) = (line for line in out.splitlines() if line.startswith("Everything"))
    assert "$99.999999999999" in everything
    assert "███████████████████░" in everything


@pytest.mark.parametrize(("fail_at", "code"), [("100", 1), ("101", 0), ("175", 0)])
def test_a_pipeline_learns_by_the_exit_code_that_a_budget_is_over(
    cli: Any, fail_at: str, code: int
) -> None:
    found, _, err = cli("budget", "show", "today", "--fail-at", fail_at)
    assert found == code
    assert ("Today has spent 100.5%" in err) == bool(code)


def test_almost_spent_is_not_spent(cli: Any) -> None:
    assert cli("budget", "show", "everything", "--fail-at", "100")[0] == 0
    assert cli("budget", "list", "--fail-at", "100")[0] == 1


def test_one_is_shown_by_name_or_id_and_as_json(cli: Any) -> None:
    code, out, err = cli("budget", "show", "EVERYTHING")
    assert (code, "At this pace the money is gone on Fri 20 Nov." in out) == (0, True)
    assert "refuses these calls" in err
    row = json.loads(cli("budget", "show", ANSWER["results"][0]["id"], "--json")[1])
    assert row["name"] == "Ada"
    assert len(json.loads(cli("budget", "list", "--json")[1])["results"]) == 9


def test_what_is_wrong_is_said_in_one_line(cli: Any, logged_in: Server) -> None:
    code, _, err = cli("budget", "show", "nobody")
    assert (code, "There are: Ada, Core team" in err) == (2, True)
    assert cli("budget", "list", "--fail-at", "0")[0] == 2
    logged_in.routes[PATH] = answer({"hello": 1})
    assert cli("budget", "list")[0] == 2
    logged_in.routes[PATH] = answer({**ANSWER, "results": []})
    code, out, err = cli("budget", "list")
    assert (code, out, "No budget counts such calls" in err) == (0, "", True)


@pytest.mark.parametrize(
    ("share", "filled"), [("0", 0), ("0.001", 1), ("0.999", 19), ("1", 20), ("7", 20)]
)
def test_a_bar_shows_a_little_and_is_full_only_when_spent(share: str, filled: int) -> None:
    assert bar(Decimal(share)) == "█" * filled + "░" * (20 - filled)
