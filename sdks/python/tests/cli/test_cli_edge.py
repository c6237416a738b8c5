"""The edge: import time, missing packages, one line per error, pipes, colours, completion."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli_server import Server, answer

SRC = str(Path(__file__).resolve().parents[2] / "src")
TRACES = "/api/v1/projects/shop/traces"


def python(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": SRC, **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_library_imports_nothing_of_the_command_line() -> None:
    code = (
        "import sys, llmlab; print([name for name in sys.modules if name.startswith('llmlab.cli.')"
        " or name.split('.')[0] in ('typer', 'rich', 'click', 'websockets')])"
    )
    assert python("-c", code).stdout == "[]\n"


def test_without_its_packages_it_says_how_to_get_them(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'typer'\", name='typer')"
    )
    done = python("-m", "llmlab.cli", "costs", PYTHONPATH=f"{tmp_path}:{SRC}")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith("pip install 'llmlab[cli]'\n")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["costs", "--colour"],
        ["costs", "--since", "yesterday"],
        ["costs", "--format", "xml"],
        ["traces", "list", "--limit", "0"],
        ["traces", "show", "a/../b"],
        ["check"],
        ["check", "--max-cost-usd", "five"],
        ["export", "--kind", "everything"],
        ["import", "/nowhere/at/all"],
        ["keys", "create", "x"],
        ["keys", "rotate", "x", "--overlap", "3h"],
    ],
)
def test_every_error_is_one_line_and_exit_code_2(
    arguments: list[str], cli: Callable[..., Any], logged_in: Server
) -> None:
    code, out, err = cli(*arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("llmlab: ")


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (401, {"detail": "x", "code": "invalid_api_key"}, "Log in again: llmlab login"),
        (
            403,
            {"detail": "The key lacks the scope read.", "code": "missing_scope"},
            "lacks the scope read",
        ),
        (404, {"detail": "Not found.", "code": "not_found"}, "project shop"),
        (400, {"detail": "q: no such word", "code": "invalid_filter"}, "q: no such word"),
        (200, b"<html>", "did not answer as LLMLab"),
        (502, b"<html>", "answered 502, not as LLMLab"),
        (500, {"oops": 1}, "answered 500"),
    ],
)
def test_answers_of_the_server_say_what_to_do(
    status: int, body: Any, words: str, cli: Callable[..., Any], logged_in: Server
) -> None:
    logged_in.routes[f"GET {TRACES}"] = answer(body, status)
    code, _, err = cli("traces", "list")
    assert (code, err.count("\n")) == (2, 1)
    assert words in err


def test_nobody_there_is_told(cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMLAB_API_KEY", "k")
    monkeypatch.setenv("LLMLAB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("LLMLAB_PROJECT", "shop")
    code, _, err = cli("costs")
    assert code == 2
    assert err.startswith("llmlab: http://127.0.0.1:9 cannot be reached")


def row(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "trace_id": f"t-{number}", "name": "n" * 300, "status": "ok", "started_at": "2026-11-21T09:00:00Z",
        "ended_at": "2026-11-21T09:00:01Z", "duration_ms": 1000.0, "cost_usd": "0.1", "calls": 1, "unpriced_calls": 0,
        "input_tokens": 1, "output_tokens": 1, "error_count": 0, "models": [], **fields,
    }  # fmt: skip


def test_pages_are_followed_by_their_query_only(cli: Callable[..., Any], logged_in: Server) -> None:
    """Behind a proxy `next` may name another host."""
    first = {"results": [row(1)], "next": f"http://elsewhere.invalid{TRACES}?limit=20&cursor=abc"}
    logged_in.routes[f"GET {TRACES}"] = [answer(first), answer({"results": [row(2)], "next": None})]
    code, out, _ = cli("traces", "list", "--json")
    assert (code, [json.loads(line)["trace_id"] for line in out.splitlines()]) == (
        0,
        ["t-1", "t-2"],
    )
    assert logged_in.requests[-1]["query"] == {"limit": ["20"], "cursor": ["abc"]}


def test_a_pipe_gets_whole_lines_without_colours(
    cli: Callable[..., Any], logged_in: Server
) -> None:
    logged_in.routes[f"GET {TRACES}"] = answer({"results": [row(1, status="error")], "next": None})
    code, out, _ = cli("traces", "list")
    assert code == 0
    assert "n" * 300 in out
    assert "t-1" in out.splitlines()[1]
    assert "\x1b" not in out


def test_a_reader_that_has_seen_enough_is_no_error(logged_in: Server, tmp_path: Path) -> None:
    logged_in.routes[f"GET {TRACES}"] = answer(
        {"results": [row(n) for n in range(200)], "next": None}
    )
    command = f"{sys.executable} -m llmlab.cli traces list -n 200 --json | head -n 1; echo ${{PIPESTATUS[0]}}"
    environ = {
        "PATH": os.environ["PATH"], "PYTHONPATH": SRC, "LLMLAB_API_KEY": "k", "LLMLAB_BASE_URL": logged_in.url,
        "LLMLAB_PROJECT": "shop",
    }  # fmt: skip
    done = subprocess.run(
        ["bash", "-c", command],
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.splitlines()[-1] == "0"
    assert done.stderr == ""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete(shell: str) -> None:
    done = python(
        "-m",
        "llmlab.cli",
        "--show-completion",
        shell,
        _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1",
    )
    assert done.returncode == 0, done.stderr
    assert "_LLMLAB_COMPLETE" in done.stdout


def test_a_word_is_completed() -> None:
    environ = {
        "_LLMLAB_COMPLETE": "complete_bash",
        "COMP_WORDS": "llmlab traces t",
        "COMP_CWORD": "2",
    }
    done = python(
        "-c", "import sys; sys.argv[0] = 'llmlab'; from llmlab.cli import main; main()", **environ
    )
    assert (done.returncode, done.stdout.split()) == (0, ["tail"]), done.stderr


def test_a_check_without_traces_costs_nothing(cli: Callable[..., Any], logged_in: Server) -> None:
    logged_in.routes[f"GET {TRACES}"] = answer({"results": [], "next": None})
    code, out, _ = cli("check", "--max-cost-usd", "0", "--query", "env:ci", "--json")
    assert (code, json.loads(out)["cost_usd"]) == (0, "0")


def test_amounts_are_added_up_exactly(cli: Callable[..., Any], logged_in: Server) -> None:
    rows = [row(n, cost_usd="0.1") for n in range(3)]
    logged_in.routes[f"GET {TRACES}"] = answer({"results": rows, "next": None})
    assert cli("check", "--max-cost-usd", "0.3", "--query", "env:ci")[0] == 0
    assert cli("check", "--max-cost-usd", "0.29999999999999999", "--query", "env:ci")[0] == 1
