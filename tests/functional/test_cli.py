"""The `llmlab` command line as people run it: a program of its own against the running server."""

import csv
import datetime as dt
import io
import json
import os
import select
import signal
import subprocess
import sys
import termios
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
import pytest
from django.utils import timezone

from core import outbox
from core.models import Job, OutboxItem
from costs.models import CostRecord
from projects.models import ApiKey, Project
from tests.factories.projects import ProjectFactory
from tests.functional import cli_files
from tests.functional.server import ROOT, Server
from tests.traces.uploads import key_for
from traces.models import Score, Span, Trace

pytestmark = [pytest.mark.django_db(transaction=True)]
SCOPES = ["ingest", "read", "admin"]
PRICE = Decimal("0.00045")  # 1,000 tokens in and 100 out of gpt-5-mini


class Cli:
    """One person's command line: its own configuration, no keyring, no terminal."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "LLMLAB_CONFIG_DIR": str(home / "config"),
            "PYTHONPATH": str(ROOT / "sdks" / "python" / "src"),
            "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
            "PYTHONUNBUFFERED": "1",
            "TZ": "UTC",
        }

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "llmlab.cli", *arguments],
            cwd=self.home,
            env=self.environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, code: int = 0, given: str = "") -> str:
        """Its output; the exit code must be `code`."""
        process = self.start(*arguments)
        out, err = process.communicate(given, timeout=60)
        assert process.returncode == code, f"{arguments}: {process.returncode}\n{out}\n{err}"
        assert "Traceback" not in err
        self.err = err
        return out

    def json(self, *arguments: str, code: int = 0) -> Any:
        return json.loads(self.run(*arguments, "--json", code=code))


@pytest.fixture
def project() -> Project:
    return ProjectFactory(slug="shop", name="Shop")


@pytest.fixture
def key(project: Project) -> str:
    return key_for(project, scopes=SCOPES)[1]


@pytest.fixture
def cli(tmp_path: Path, server: Server, key: str) -> Cli:
    made = Cli(tmp_path)
    made.run("login", "--address", server.url, "--key-stdin", given=f"{key}\n")
    return made


def send(server: Server, key: str, *traces: dict[str, Any]) -> None:
    answer = httpx2.post(
        f"{server.url}/api/v1/projects/shop/traces",
        headers={"Authorization": f"Bearer {key}"},
        json={"traces": list(traces)},
        timeout=10,
    )
    assert answer.status_code == 207, answer.text
    assert all(result["status"] in (200, 201) for result in answer.json()["results"]), answer.text


def trace(trace_id: str, *, status: str = "ok", ago_s: int = 60, **fields: Any) -> dict[str, Any]:
    """A root of two seconds with one call of gpt-5-mini."""
    started = timezone.now() - dt.timedelta(seconds=ago_s)
    call = {
        "id": f"{trace_id}-call",
        "type": "llm",
        "name": "plan",
        "status": "running" if status == "running" else "ok",
        "started_at": (started + dt.timedelta(seconds=1)).isoformat(),
        "provider": "openai",
        "model": "gpt-5-mini",
    }
    if status != "running":
        call |= {"latency_ms": 840, "input_tokens": 1000, "output_tokens": 100}
    ended = {} if status == "running" else {"duration_ms": 2000}
    return {
        "trace_id": trace_id, "name": "refund-agent", "status": status, "started_at": started.isoformat(),
        "user": "cus_1", "steps": [call], **ended, **fields,
    }  # fmt: skip


def test_login_checks_the_key_and_keeps_it_private(
    cli: Cli, server: Server, project: Project, tmp_path: Path
) -> None:
    file = tmp_path / "config" / "config.json"
    assert file.stat().st_mode & 0o777 == 0o600
    (row,) = cli.json("projects")
    assert (row["project"], row["name"], row["state"]) == ("shop", "Shop", "ok")
    before = file.read_text()
    cli.run("login", "--address", server.url, "--key-stdin", given="llmlab_sk_nobody\n", code=2)
    assert cli.err.startswith(f"llmlab: {server.url} does not know this key.")
    assert file.read_text() == before
    cli.run(
        "login", "--address", "http://127.0.0.1:9", "--key-stdin", given="llmlab_sk_x\n", code=2
    )
    assert cli.err.count("\n") == 1
    assert cli.run("logout") == "Logged out: default.\n"
    cli.run("costs", code=2)
    assert "llmlab login" in cli.err


def test_a_pipeline_needs_no_login(
    tmp_path: Path, server: Server, project: Project, key: str
) -> None:
    cli = Cli(tmp_path)
    cli.environ |= {"LLMLAB_API_KEY": key, "LLMLAB_BASE_URL": server.url}
    assert cli.json("check", "--max-cost-usd", "0")["cost_usd"] == "0"
    assert not (tmp_path / "config").exists()


def test_costs_are_exact_in_every_format(cli: Cli, server: Server, key: str) -> None:
    odd = trace("t2")
    odd["steps"][0]["model"] = "nobody-knows-this-model"
    send(server, key, trace("t1"), odd)

    answer = cli.json("costs", "--by", "model", "--since", "2h")
    by_model = {row["group"]: row["cost_usd"] for row in answer["results"]}
    assert by_model == {"gpt-5-mini": str(PRICE), "nobody-knows-this-model": None}
    assert answer["total"]["cost_usd"] == str(PRICE)

    lines = list(csv.DictReader(io.StringIO(cli.run("costs", "--by", "model", "--format", "csv"))))
    assert [(line["model"], line["cost_usd"]) for line in lines] == [
        ("gpt-5-mini", "0.00045"), ("nobody-knows-this-model", ""), ("total", "0.00045"),
    ]  # fmt: skip
    table = cli.run("costs", "--by", "model").splitlines()
    assert table[-1].split() == ["total", "2", "0", "1", "2,000", "200", "$0.00045"]
    assert "1 of 2 calls have no known price" in cli.err
    cli.run("costs", "--filter", "colour=red", code=2)


def test_traces_are_listed_by_query_and_drawn(cli: Cli, server: Server, key: str) -> None:
    send(
        server,
        key,
        trace("t1"),
        trace("t2", error={"type": "Timeout", "message": "too\x1b[31m slow"}),
    )
    listed = cli.run("traces", "list", "--query", "status:error", "--json").splitlines()
    assert [json.loads(line)["trace_id"] for line in listed] == ["t2"]
    assert len(cli.run("traces", "list", "-n", "1").splitlines()) == 2
    drawn = cli.run("traces", "show", "t2")
    call = next(line for line in drawn.splitlines() if line.strip().startswith("plan"))
    assert call.split()[:2] == ["plan", "gpt-5-mini"]
    assert call.endswith("1,000 → 100  $0.00045")
    assert "+1.00 s" in call
    assert "840 ms" in call
    assert "Timeout: too" in drawn
    assert "\x1b" not in drawn
    assert len(cli.json("traces", "show", "t2")["steps"]) == 2
    cli.run("traces", "show", "nobody", code=2)
    assert cli.err.startswith("llmlab: Not found:")
    cli.run("traces", "list", "--query", "status:purple", code=2)
    assert "purple" in cli.err


def lines_of(process: "subprocess.Popen[str]", number: int) -> list[str]:
    """So many lines, as they come."""
    assert process.stdout is not None
    return [process.stdout.readline() for _ in range(number)]


def interrupted(process: "subprocess.Popen[str]") -> int:
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    return process.returncode


def test_tail_shows_new_traces_as_they_come(cli: Cli, server: Server, key: str) -> None:
    send(server, key, trace("t1"))
    process = cli.start("traces", "tail", "--json")
    assert json.loads(lines_of(process, 1)[0])["trace_id"] == "t1"
    send(server, key, trace("t2", status="running", ago_s=5))
    (running,) = (json.loads(line) for line in lines_of(process, 1))
    assert (running["trace_id"], running["status"]) == ("t2", "running")
    time.sleep(0.5)
    send(server, key, trace("t2", ago_s=5))
    (ended,) = (json.loads(line) for line in lines_of(process, 1))
    assert (ended["trace_id"], ended["status"], ended["cost_usd"]) == ("t2", "ok", str(PRICE))
    assert interrupted(process) == 0


def test_tail_follows_one_trace_until_it_ends(cli: Cli, server: Server, key: str) -> None:
    send(server, key, trace("t1", status="running"))
    process = cli.start("traces", "tail", "t1", "--until-ended", "--json")
    assert json.loads(lines_of(process, 1)[0])["status"] == "running"
    send(server, key, trace("t1"))
    out, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    assert json.loads(out.splitlines()[-1])["status"] == "ok"


def test_a_terminal_sees_the_waterfall_grow(cli: Cli, server: Server, key: str) -> None:
    send(server, key, trace("t1", status="running"))
    main, inner = os.openpty()
    termios.tcsetwinsize(inner, (40, 120))
    process = subprocess.Popen(
        [sys.executable, "-m", "llmlab.cli", "traces", "tail", "t1", "--until-ended"],
        env={**cli.environ, "TERM": "xterm-256color"},
        stdin=inner,
        stdout=inner,
        stderr=inner,
    )
    os.close(inner)
    try:
        seen = _read_until(main, "▒")
        send(server, key, trace("t1"))
        seen += _read_until(main, "1,000 → 100")
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
        os.close(main)
    assert "refund-agent" in seen
    assert "\x1b[" in seen


def _read_until(terminal: int, words: str) -> str:
    seen = b""
    while words.encode() not in seen:
        assert select.select([terminal], [], [], 20)[0], seen
        seen += os.read(terminal, 65536)
    return seen.decode(errors="replace")


def test_tail_refuses_a_key_that_may_not_read(
    tmp_path: Path, server: Server, project: Project
) -> None:
    cli = Cli(tmp_path)
    raw = key_for(project, scopes=["ingest"])[1]
    cli.environ |= {"LLMLAB_API_KEY": raw, "LLMLAB_BASE_URL": server.url, "LLMLAB_PROJECT": "shop"}
    cli.run("traces", "tail", code=2)
    assert "scope read" in cli.err


def stored(project: Project) -> tuple[int, int, int, Decimal]:
    """Traces, steps, calls and what they cost."""
    records = CostRecord.objects.filter(project=project)
    return (
        Trace.objects.filter(project=project).count(),
        Span.objects.filter(project=project).count(),
        records.count(),
        sum((record.cost_usd or Decimal(0) for record in records), Decimal(0)),
    )


@pytest.mark.parametrize(("name", "text", "expected", "outcome"), cli_files.ALL)
def test_a_second_import_stores_nothing(
    name: str,
    text: str,
    expected: tuple[int, int, int, str],
    outcome: dict[str, int],
    cli: Cli,
    project: Project,
    tmp_path: Path,
) -> None:
    file = tmp_path / name
    file.write_text(text)
    first = cli.json("import", str(file))
    assert {word: first[word] for word in ("stored", "accepted", "rejected")} == outcome
    after = stored(project)
    assert after == (*expected[:3], Decimal(expected[3]))

    second = cli.json("import", str(file))
    assert (second["stored"], second["updated"]) == (0, 0)
    assert second["duplicate"] == outcome["stored"]
    assert second["accepted"] == outcome["accepted"]
    assert stored(project) == after
    assert not list((tmp_path / "config" / "imports").glob("*"))


def test_langfuse_tokens_costs_and_scores_are_read(
    cli: Cli, project: Project, tmp_path: Path
) -> None:
    file = tmp_path / "langfuse.json"
    file.write_text(cli_files.LANGFUSE)
    cli.run("import", str(file))
    call = Span.objects.get(project=project, span_id="lf-generation")
    assert (call.parent_span_id, call.response_model) == ("lf-trace", "gpt-5-mini")
    assert (call.input_tokens, call.cache_read_input_tokens, call.output_tokens) == (1000, 400, 100)
    assert call.first_token_ms == 250
    record = CostRecord.objects.get(project=project)
    assert (record.user_id, record.session_id) == ("cus_1", "s-1")
    assert record.client_cost_usd == Decimal("0.00036")
    assert Trace.objects.get(project=project).name == "answer"
    score = Score.objects.get(project=project)
    assert (score.name, score.value, score.trace_id) == ("helpful", 0.9, "lf-trace")


def test_refused_rows_are_named_and_fail(cli: Cli, project: Project, tmp_path: Path) -> None:
    file, told = tmp_path / "spend.csv", tmp_path / "told.jsonl"
    good, *_ = cli_files.litellm_rows()
    bad = {**good, "request_id": "r-bad", "startTime": "yesterday"}
    old = {**good, "request_id": "r-old", "startTime": "1999-01-01 00:00:00"}
    file.write_text(cli_files.csv_text([good, bad, old]))
    out = cli.run("import", str(file), "--rejected", str(told), code=1)
    assert out == "3 records read: 1 stored, 2 refused.\n"
    assert "line 3: startTime is 'yesterday'; it must be a time" in cli.err
    assert [json.loads(line)["line"] for line in told.read_text().splitlines()] == [3, 4]
    assert CostRecord.objects.filter(project=project).count() == 1


def test_own_export_comes_back_the_same(
    cli: Cli, server: Server, key: str, project: Project, tmp_path: Path
) -> None:
    batch = trace("t2", tags=["gold"])
    batch["steps"][0]["service_tier"] = "batch"  # at half the price, which no step's export tells
    send(server, key, trace("t1"), batch)
    for kind in ("traces", "spans", "costs"):
        out = str(tmp_path / f"{kind}.jsonl")
        _run_jobs(cli.start("export", "--kind", kind, "--since", "2h", "--out", out), project)
    other: Project = ProjectFactory(slug="copy")
    cli.environ |= {
        "LLMLAB_API_KEY": key_for(other, scopes=SCOPES)[1],
        "LLMLAB_BASE_URL": server.url,
    }
    files = [str(tmp_path / f"{kind}.jsonl") for kind in ("costs", "traces", "spans")]
    out = cli.run("import", *files)
    assert out == "8 records read: 4 stored.\n"
    assert stored(other) == stored(project) == (2, 4, 2, PRICE + PRICE / 2)
    for one in Trace.objects.filter(project=project):
        copy = Trace.objects.get(project=other, trace_id=one.trace_id)
        assert (copy.name, copy.user_id, copy.tags) == (one.name, one.user_id, one.tags)
        assert (copy.started_at, copy.ended_at) == (one.started_at, one.ended_at)
        assert copy.known_cost_usd == one.known_cost_usd


def _run_jobs(process: "subprocess.Popen[str]", project: Project) -> None:
    """The server of the tests has no worker: its jobs are done here while the program waits."""
    until = time.monotonic() + 30
    while process.poll() is None:
        assert time.monotonic() < until
        waiting = OutboxItem.objects.filter(done_at=None)
        for job in Job.objects.filter(project_id=project.pk, state__in=("queued", "running")):
            for item in waiting.filter(payload__job_id=str(job.pk)):
                outbox.run(item.pk, now=timezone.now())
        time.sleep(0.05)
    _, err = process.communicate()
    assert process.returncode == 0, err


def test_export_filters_and_keeps_files_that_are_there(
    cli: Cli, server: Server, key: str, project: Project, tmp_path: Path
) -> None:
    send(server, key, trace("t1"), trace("t2", tags=["gold"]))
    out = tmp_path / "gold.csv"
    arguments = ("export", "--query", "tag:gold", "--format", "csv", "--out", str(out))
    _run_jobs(cli.start(*arguments), project)
    (row,) = csv.DictReader(io.StringIO(out.read_text()))
    assert (row["trace_id"], row["cost_usd"]) == ("t2", "0.000450000000")
    cli.run(*arguments, code=2)
    assert "is there already" in cli.err
    assert not list(tmp_path.glob("*.part"))


def test_keys_are_made_rotated_and_revoked(cli: Cli, project: Project) -> None:
    raw = cli.run("keys", "create", "worker", "--scope", "ingest").strip()
    assert raw.startswith("llmlab_sk_")
    made = ApiKey.objects.get(project=project, name="worker")
    assert made.scopes == ["ingest"]
    successor = cli.run("keys", "rotate", str(made.pk), "--overlap", "1h").strip()
    assert successor.startswith("llmlab_sk_")
    assert successor != raw
    cli.run("keys", "revoke", raw, code=2)
    assert "--yes" in cli.err
    cli.run("keys", "revoke", raw, "--yes")
    made.refresh_from_db()
    assert made.revoked_at is not None
    names = [row["name"] for row in cli.json("keys", "list")]
    assert len(names) == 2
    assert raw not in cli.run("keys", "list", "--all")
    cli.run("keys", "create", "wide", "--scope", "everything", code=2)


def test_check_fails_a_pipeline(cli: Cli, server: Server, key: str) -> None:
    send(server, key, trace("t1"), trace("t2", status="error", tags=["nightly"]))
    facts = cli.json("check", "--max-cost-usd", "0.0009")
    assert (facts["ok"], facts["calls"], facts["cost_usd"]) == (True, 2, "0.0009")
    cli.run("check", "--max-cost-usd", "0.00089", code=1)
    cli.run("check", "--max-errors", "1")
    out = cli.run("check", "--max-errors", "0", code=1)
    assert "over: 1 failed traces are more than 0" in out
    cli.run("check", "--max-cost-usd", "0.00045", "--query", "tag:nightly")
    cli.run("check", "--max-errors", "0", "--query", "-tag:nightly")
    cli.run("check", code=2)
    odd = trace("t3")
    odd["steps"][0]["model"] = "nobody-knows-this-model"
    send(server, key, odd)
    out = cli.run("check", "--max-cost-usd", "5", code=1)
    assert "1 calls have no known price" in out
    cli.run("check", "--max-cost-usd", "5", "--allow-unpriced")


def test_check_counts_to_the_second(cli: Cli, server: Server, key: str) -> None:
    """Sums are kept by the hour; the check is not."""
    send(server, key, trace("old", ago_s=120), trace("new", ago_s=20))
    assert cli.json("check", "--max-cost-usd", "5", "--since", "1m")["calls"] == 1


def test_doctor_finds_all_well_and_says_what_is_not(cli: Cli, server: Server) -> None:
    lines = {line["name"]: line for line in cli.json("doctor")}
    assert {name: line["state"] for name, line in lines.items()} == dict.fromkeys(
        ("login", "address", "clock", "versions", "key", "websocket", "spool"), "ok"
    )
    assert lines["key"]["found"] == "valid for project shop; scopes: ingest, read, admin"
    cli.environ |= {"LLMLAB_API_KEY": "llmlab_sk_nobody", "LLMLAB_BASE_URL": server.url}
    out = cli.run("doctor", code=1)
    assert "fail key" in out
