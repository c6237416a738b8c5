"""The steps that the SDKs make of provider calls (`sdks/contract/calls`) are what the JSON door understands."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from costs.models import CostRecord
from projects.models import Project
from tests.traces.said import said_in
from tests.traces.spans import assert_ledger_is_exact
from tests.traces.uploads import START, send_json
from traces.models import Span

pytestmark = pytest.mark.django_db
CALLS = Path(__file__).parents[2] / "sdks" / "contract" / "calls"
FIXTURES = sorted(path.stem for path in CALLS.glob("*.json"))


def step_of(name: str) -> dict[str, Any] | None:
    fixture: dict[str, Any] = json.loads((CALLS / f"{name}.json").read_text())
    step: dict[str, Any] | None = fixture["step"]
    return step


def _moment(seconds: float) -> str:
    return (START + dt.timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def _input_tokens(usage: dict[str, Any]) -> int:
    """As each provider counts: OpenAI's prompt holds what was cached, Anthropic's input does not."""
    if "prompt_tokens" in usage:
        return int(usage["prompt_tokens"])
    cached = ("cache_read_input_tokens", "cache_creation_input_tokens")
    return int(usage["input_tokens"]) + sum(int(usage.get(key) or 0) for key in cached)


def test_there_are_fixtures() -> None:
    assert len(FIXTURES) >= 70


@pytest.mark.parametrize("name", FIXTURES)
def test_a_step_of_an_sdk_is_understood(
    client: Client, project: Project, key: str, name: str
) -> None:
    step = step_of(name)
    if step is None:
        return  # a call that SDKs do not record
    sent = {**step, "id": "11" * 8, "started_at": _moment(0), "ended_at": _moment(1)}
    item = {"trace_id": "aa" * 16, "root_id": "11" * 8, "name": step["name"], "steps": [sent]}
    answer = send_json(client, key, project, {"traces": [item]})
    (result,) = answer.json()["results"]
    assert (result["status"], result["rejected"]) == (201, []), result
    span = Span.objects.get(project=project)
    assert (span.kind, span.name, span.status) == (step["type"], step["name"], step["status"])
    assert span.error_type == step.get("error", {}).get("type", "")
    assert (span.response_id, span.finish_reason) == (
        step.get("response_id", ""),
        step.get("finish_reason", ""),
    )
    _check_contents(project, step)
    if usage := step.get("usage"):
        record = CostRecord.objects.get(project=project)
        assert record.model == step["model"]
        assert record.input_tokens == _input_tokens(usage)
        if step["type"] == "llm" and step["status"] == "ok":
            written = usage.get("completion_tokens", usage.get("output_tokens"))
            assert record.output_tokens == written
    assert_ledger_is_exact(project)


def _check_contents(project: Project, step: dict[str, Any]) -> None:
    """What was said is stored as it was sent."""
    said = said_in(project)["aa" * 16, "11" * 8]
    for field in ("input", "output", "tools", "parameters"):
        if step.get(field) not in (None, [], {}):
            assert said[field] == step[field], field
