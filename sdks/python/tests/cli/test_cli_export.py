"""`llmlab export`: the job is watched, a file is there whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli_server import Server, answer

EXPORTS = "/api/v1/projects/shop/exports"
JOB = "/api/v1/projects/shop/jobs/j1"


def job(state: str, **fields: Any) -> dict[str, Any]:
    return {
        "id": "j1", "state": state, "title": "Export traces", "done": 1, "total": 2, "message": "",
        "result": {}, **fields,
    }  # fmt: skip


@pytest.fixture
def exporting(logged_in: Server) -> Server:
    logged_in.routes[f"POST {EXPORTS}"] = answer(job("queued"), 202)
    logged_in.routes[f"GET {JOB}"] = [
        answer(job("running")),
        answer(job("done", result={"rows": 2})),
    ]
    logged_in.routes[f"GET {EXPORTS}/j1/file"] = answer(b"one\ntwo\n")
    return logged_in


def test_the_file_is_fetched_when_the_job_is_done(
    cli: Callable[..., Any], exporting: Server, tmp_path: Path
) -> None:
    out = tmp_path / "out.jsonl"
    code, _, err = cli(
        "export", "-k", "spans", "-q", "env:ci", "--since", "7d", "--payloads", "-o", str(out)
    )
    assert (code, err) == (0, f"2 rows, 8 bytes in {out}.\n")
    assert out.read_text() == "one\ntwo\n"
    (asked,) = exporting.asked(EXPORTS)
    assert asked["body"] == {
        "kind": "spans", "format": "jsonl", "query": "range=7d&q=env%3Aci", "with_payloads": True
    }  # fmt: skip


def test_a_failed_export_says_why(
    cli: Callable[..., Any], exporting: Server, tmp_path: Path
) -> None:
    exporting.routes[f"GET {JOB}"] = answer(job("failed", message="The disk is full."))
    code, _, err = cli("export", "-o", str(tmp_path / "out"))
    assert (code, err) == (2, "llmlab: The export ended as failed: The disk is full.\n")
    assert list(tmp_path.iterdir()) == []


def test_a_download_that_breaks_leaves_nothing(
    cli: Callable[..., Any], exporting: Server, tmp_path: Path
) -> None:
    """Its length says more than came."""
    exporting.routes[f"GET {EXPORTS}/j1/file"] = answer(
        {"detail": "gone", "code": "not_found"}, 404
    )
    code, _, err = cli("export", "-o", str(tmp_path / "out"))
    assert (code, err.count("\n")) == (2, 1)
    assert list(tmp_path.iterdir()) == []


def test_a_refused_query_is_told(
    cli: Callable[..., Any], exporting: Server, tmp_path: Path
) -> None:
    exporting.routes[f"POST {EXPORTS}"] = answer(
        {"detail": "status: 'purple' is none", "code": "invalid_filter"}, 400
    )
    code, _, err = cli("export", "-q", "status:purple", "-o", str(tmp_path / "out"))
    assert (code, err) == (2, "llmlab: status: 'purple' is none\n")


def test_what_does_not_go_together_is_refused_before_anything_is_asked(
    cli: Callable[..., Any], exporting: Server, tmp_path: Path
) -> None:
    for arguments in (["-k", "costs", "-q", "x"], ["--payloads"], ["--format", "xlsx"]):
        assert cli("export", *arguments)[0] == 2
    assert exporting.requests == []
