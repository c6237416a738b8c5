"""Real instrumentations, official SDKs and the OTLP batch exporter against the running server and the simulator."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from costs.models import CostRecord
from projects.models import Project
from tests.factories.projects import ProjectFactory
from tests.functional.ledger import (
    assert_content_is_captured,
    assert_refusal_costs_nothing,
    expected_cost,
    record_of,
)
from tests.functional.server import ROOT, Server
from tests.functional.unreliable import unreliable_proxy
from tests.traces.spans import assert_ledger_is_exact
from tests.traces.uploads import key_for
from traces.models import Span, Trace

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
Told = dict[str, dict[str, Any]]
ENVIRON = {
    "openai-v2": {
        "OTEL_SEMCONV_STABILITY_OPT_IN": "gen_ai_latest_experimental",
        "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "span_only",
    },
    "openinference-openai": {},
    "openinference-anthropic": {"ANTHROPIC_OPEN_TELEMETRY": "false"},
    "native-anthropic": {"ANTHROPIC_OPEN_TELEMETRY_TRACES_CONTENT_MODE": "content"},
    "openinference-and-native-anthropic": {},
}


@pytest.fixture
def project() -> Project:
    return ProjectFactory()


def run_program(name: str, simulator: str, collector: str, key: str, *scenarios: str) -> Told:
    """Runs tests.functional.instrumented to its end; returns what its SDK was told."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.functional.instrumented", name, simulator, collector, key, *scenarios],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HOME": "/tmp", **ENVIRON[name]},  # noqa: S108
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    told: Told = json.loads(done.stdout.splitlines()[-1])
    return told


def send(name: str, simulator: str, server: Server, project: Project, *scenarios: str) -> Told:
    return run_program(name, simulator, server.url, key_for(project)[1], *scenarios)


SAME = ("whole", "stream", "tool", "reasoning", "unknown")


def test_openai_v2_and_openinference_cost_the_same_to_the_last_digit(
    server: Server, simulator: str, project: Project
) -> None:
    by_v2 = send("openai-v2", simulator, server, project)
    by_openinference = send("openinference-openai", simulator, server, project)

    for scenario in SAME:
        one, other = by_v2[scenario], by_openinference[scenario]
        assert (one["usage"], one["text"]) == (other["usage"], other["text"])
        first, second = record_of(project, one), record_of(project, other)
        for name in (
            "cost_usd",
            "price_status",
            "provider",
            "model",
            "input_tokens",
            "output_tokens",
            "operation",
        ):
            assert getattr(first, name) == getattr(second, name), (scenario, name)
        assert first.cost_usd == expected_cost(one, "openai"), scenario
    assert record_of(project, by_v2["whole"]).price_status == "priced"
    assert record_of(project, by_v2["unknown"]).price_status == "unpriced"
    assert record_of(project, by_openinference["reasoning"]).reasoning_output_tokens > 0
    # openai-v2 2.4b0 does not report cached tokens: its call is charged as if nothing had been cached.
    cached = by_openinference["cached"]
    assert cached["usage"]["prompt_tokens_details"]["cached_tokens"] > 0
    assert record_of(project, cached).cost_usd == expected_cost(cached, "openai")
    assert record_of(project, by_v2["cached"]).cost_usd == expected_cost(
        by_v2["cached"], "openai", with_cache=False
    )
    for told in (by_v2, by_openinference):
        assert_content_is_captured(project, told["whole"])
        assert_content_is_captured(project, told["stream"])
        assert_refusal_costs_nothing(project, told["refused"])
    assert_ledger_is_exact(project)


def test_anthropic_instrumentations_cost_the_same_to_the_last_digit(
    server: Server, simulator: str, project: Project
) -> None:
    told = {
        name: send(name, simulator, server, project)
        for name in ("openinference-anthropic", "native-anthropic")
    }

    for scenario in ("whole", "stream", "tool", "cached"):
        costs = {}
        for name, answers in told.items():
            record = record_of(project, answers[scenario])
            assert record.cost_usd == expected_cost(answers[scenario], "anthropic"), (
                name,
                scenario,
            )
            assert (record.provider, record.price_status) == ("anthropic", "priced"), (
                name,
                scenario,
            )
            costs[name] = (record.cost_usd, record.input_tokens, record.output_tokens)
        assert len(set(costs.values())) == 1, (scenario, costs)
    for answers in told.values():
        assert answers["cached"]["usage"]["cache_creation_input_tokens"] > 0
        assert_content_is_captured(project, answers["whole"])
        assert_refusal_costs_nothing(project, answers["refused"])
    assert_ledger_is_exact(project)


@pytest.mark.parametrize("scenario", ["whole", "stream"])
def test_two_instrumentations_of_one_call_are_charged_once(
    server: Server, simulator: str, project: Project, scenario: str
) -> None:
    """The anthropic SDK traces itself as soon as a tracer provider is there, beside any other instrumentation."""
    told = send("openinference-and-native-anthropic", simulator, server, project, scenario)
    trace = Trace.objects.get(project=project, trace_id=told[scenario]["trace_id"])
    assert trace.span_count == 3
    assert_ledger_is_exact(project)
    assert trace.call_count == 1
    assert trace.cost_usd == expected_cost(told[scenario], "anthropic")


@pytest.mark.parametrize("spoil", ["503", "cut"])
def test_a_retried_export_is_stored_once(
    server: Server, simulator: str, project: Project, spoil: Any
) -> None:
    """The server has stored the batch, its answer is lost, the exporter sends again."""
    _, key = key_for(project)
    with unreliable_proxy(server.url, spoil) as proxy:
        told = run_program("openinference-openai", simulator, proxy.url, key, "whole")
    assert proxy.statuses == [200, 200]
    trace = Trace.objects.get(project=project)
    assert (trace.trace_id, trace.span_count, trace.call_count, trace.seq) == (
        told["whole"]["trace_id"],
        2,
        1,
        1,
    )
    assert trace.cost_usd == expected_cost(told["whole"], "openai")
    assert_ledger_is_exact(project)


def test_an_export_with_a_wrong_key_stores_nothing_denied(
    server: Server, simulator: str, project: Project
) -> None:
    run_program("openinference-openai", simulator, server.url, "llmlab_sk_wrong", "whole")
    assert not Span.objects.exists()
    assert not CostRecord.objects.exists()
