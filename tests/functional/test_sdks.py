"""The same story told by the SDKs of all three languages: what LLMLab stored of it must be the same.

Programs and story: `sdks/contract/programs/README.md`. A language this machine lacks is left out, and says so
(`make sdk-install`); what is compared is compared with the expected story, not only with each other.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from benchmarks.sdk_programs import LANGUAGES, command, missing
from config.embedded.state import free_port
from costs.models import CostRecord
from projects.models import Project
from tests.factories.projects import ProjectFactory
from tests.functional.server import Server
from tests.traces.said import said_in
from tests.traces.spans import assert_ledger_is_exact
from tests.traces.uploads import key_for
from traces.models import Score, Span, Trace

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
STEPS = ["refund", "lookup", "chat", "chat", "chat", "chat", "embeddings", "charge", "chat"]


def _require(language: str) -> None:
    if reason := missing(language):
        pytest.skip(f"The {language} SDK cannot run here: {reason}")


def _environ(server: Server, simulator: str, project: Project) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": "/tmp",  # noqa: S108
        "LLMLAB_API_KEY": key_for(project, scopes=["ingest", "read"])[1],
        "LLMLAB_PROJECT": project.slug,
        "LLMLAB_BASE_URL": server.url,
        "LLMLAB_ENVIRONMENT": "staging",
        "LLMLAB_RELEASE": "2.1",
        "PROVIDER_URL": simulator,
        "OPENAI_API_KEY": "sk-simulated",
        "ANTHROPIC_API_KEY": "sk-ant-simulated",
    }


def _run(language: str, environ: dict[str, str], directory: Path, *arguments: str) -> Any:
    done = subprocess.run(
        [*command(language, directory), *arguments],
        env=environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def _told(project: Project, trace_id: str) -> dict[str, Any]:
    """All that LLMLab knows of a trace but times, ids and which SDK it was."""
    trace = Trace.objects.get(project=project, trace_id=trace_id)
    spans = list(Span.objects.filter(project=project, trace_id=trace_id).order_by("started_at"))
    names = {span.span_id: span.name for span in spans}
    contents = said_in(project)
    costs = {record.span_id: record for record in CostRecord.objects.filter(project=project)}
    return {
        "trace": [
            trace.name, trace.status, trace.user_id, trace.session_id, sorted(trace.tags),
            trace.metadata, trace.environment, trace.release, trace.call_count, trace.cost_usd,
            trace.unpriced_calls,
        ],
        "steps": [
            _step(span, names, contents.get((trace_id, span.span_id), {}), costs)
            for span in spans
        ],
        "scores": list(
            Score.objects.filter(project=project, trace_id=trace_id).values_list("name", "value")
        ),
    }  # fmt: skip


def _step(
    span: Span, names: dict[str, str], content: dict[str, Any], costs: dict[str, CostRecord]
) -> dict[str, Any]:
    cost = costs.get(span.span_id)
    said = {
        name: content[name]
        for name in ("input", "output", "tools", "parameters")
        if content.get(name) not in (None, {}, [])
    }
    return {
        "name": span.name,
        "kind": span.kind,
        "parent": names.get(span.parent_span_id, ""),
        "status": span.status,
        "error_type": span.error_type,
        "error_message": span.error_message,
        "provider": span.provider,
        "models": (span.request_model, span.response_model),
        "operation": span.operation,
        "finish_reason": span.finish_reason,
        "response_id": span.response_id,
        "has_first_token": span.first_token_ms is not None,
        "cost": cost
        and (cost.cost_usd, cost.price_status, cost.input_tokens, cost.output_tokens,
             cost.cache_read_input_tokens, cost.reasoning_output_tokens, cost.user_id),
        **said,
    }  # fmt: skip


@pytest.fixture
def stories(server: Server, simulator: str, tmp_path: Path) -> dict[str, dict[str, Any]]:
    """What was stored of each language's story."""
    told = {}
    for language in LANGUAGES:
        if missing(language):
            continue
        project = ProjectFactory(slug=f"story-{language}")
        answer = _run(language, _environ(server, simulator, project), tmp_path, "story")
        assert answer["flushed"] is True, language
        told[language] = _told(project, answer["trace_id"])
        assert_ledger_is_exact(project)
    return told


def test_three_languages_tell_the_same_story(stories: dict[str, dict[str, Any]]) -> None:
    first = stories["python"]
    name, status, user, session, tags, metadata, environment, release, calls, cost, unpriced = (
        first["trace"]
    )
    assert (name, status, user, session) == ("refund", "ok", "u-42", "s-7")
    assert (tags, metadata) == (["contract", "story"], {"plan": "pro", "attempt": 2})
    assert (environment, release, unpriced) == ("staging", "2.1", 0)
    assert [step["name"] for step in first["steps"]] == STEPS
    assert {step["parent"] for step in first["steps"][1:]} == {"refund"}
    assert first["steps"][7]["error_type"] == "PaymentError"
    assert first["steps"][7]["error_message"] == "card declined"
    assert first["steps"][8]["status"] == "error"
    assert first["steps"][0]["output"] == "done"
    assert [step["has_first_token"] for step in first["steps"][2:6]] == [False, True, True, False]
    assert calls == 6  # the refused one is a call that cost nothing
    assert cost == sum(step["cost"][0] for step in first["steps"] if step["cost"]) > Decimal(0)
    assert first["scores"] == [("helpful", Decimal(1))]
    for language, told in stories.items():
        assert told["trace"] == first["trace"], language
        assert told["scores"] == first["scores"], language
        for own, expected in zip(told["steps"], first["steps"], strict=True):
            assert own == expected, language


@contextmanager
def _service(language: str, environ: dict[str, str], directory: Path) -> Iterator[str]:
    """The `serve` program of a language, its first line read: it is ready."""
    port = free_port()
    process = subprocess.Popen(
        [*command(language, directory), "serve", str(port)],
        env=environ,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        process.stdout.readline()
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.terminate()
        process.wait(timeout=20)
        process.stdout.close()


@pytest.mark.parametrize(("asking", "asked"), [("python", "go"), ("go", "js"), ("js", "python")])
def test_a_trace_goes_on_in_the_service_it_calls(
    server: Server, simulator: str, tmp_path: Path, asking: str, asked: str
) -> None:
    _require(asking)
    _require(asked)
    project = ProjectFactory()
    environ = _environ(server, simulator, project)
    with _service(asked, environ, tmp_path) as address:
        told = _run(asking, environ, tmp_path, "ask", address)
    told = _told(project, told["trace_id"])
    assert {step["name"]: step["parent"] for step in told["steps"]} == {
        "ask": "",
        "answer": "ask",
        "chat": "answer",
    }
    assert (told["trace"][0], told["trace"][8]) == ("ask", 1)
