"""The set-up page's snippets and the guides' code, installed and run as they are pasted, against the running server.

Two things differ from a reader's machine: the providers' own clients are those the tests have, and Go's snippet finds
the simulator where it names the provider (the others take OPENAI_BASE_URL).
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from costs.models import CostRecord
from projects.models import Project
from projects.sdk_downloads import GO_MODULE, is_javascript_built
from projects.snippets import Snippet, snippets
from tests.factories.projects import ProjectFactory
from tests.functional.server import Server
from tests.traces.uploads import key_for
from traces.models import Score, Span, Trace

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """import os
from openai import OpenAI
from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry import trace

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)
OpenAIInstrumentor().instrument()
OpenAI().chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "ping"}])
"""
FRAGMENTS = """package main

import (
	"context"

	llmlab "github.com/llmlab/llmlab/sdks/go"
)

func steps(ctx context.Context, llm *llmlab.Client, customer, orders any) {
%s}

func rest(ctx context.Context, llm *llmlab.Client) {
	var items []llmlab.Item
%s	_, _, _, _ = spent, recording, budgets, err
}
"""
Shell = Callable[..., str]


@pytest.fixture
def project() -> Project:
    return ProjectFactory()


@pytest.fixture
def snippet(server: Server, project: Project) -> Callable[[str], Snippet]:
    """By id, with the address, the project and a key that work."""
    made = snippets(
        base_url=server.url, project=project.slug, key=key_for(project)[1], now=timezone.now()
    )
    return lambda name: next(one for one in made if one.id == name)


@pytest.fixture
def shell(tmp_path: Path, simulator: str) -> Shell:
    """Runs lines in an empty directory, as a reader's shell would."""

    def run(lines: str, **environ: str) -> str:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", lines],
            cwd=tmp_path,
            env={
                "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
                "HOME": os.environ.get("HOME", str(tmp_path)),
                "OPENAI_API_KEY": "sk-nothing",
                "OPENAI_BASE_URL": f"{simulator}/v1",
                **environ,
            },
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    return run


def code_of(language: str, page: str) -> list[str]:
    """The blocks of code of a guide."""
    text = (ROOT / "docs" / "sdks" / page).read_text()
    return re.findall(rf"^```{language}\n(.+?)^```$", text, re.DOTALL | re.MULTILINE)


def environ_of(project: Project, server: Server) -> dict[str, str]:
    """What the guides tell to export."""
    return {
        "LLMLAB_BASE_URL": server.url,
        "LLMLAB_PROJECT": project.slug,
        "LLMLAB_API_KEY": key_for(project)[1],
    }


def assert_one_priced_call_inside_a_trace(project: Project, tags: list[str]) -> None:
    trace = Trace.objects.get(project=project)
    assert (trace.name, trace.status, trace.tags) == ("answer", "ok", tags)
    root = Span.objects.get(project=project, name="answer")
    call = Span.objects.get(project=project, name="chat")
    assert (call.request_model, call.provider) == ("gpt-4o-mini", "openai")
    assert (root.parent_span_id, call.parent_span_id) == ("", root.span_id)
    record = CostRecord.objects.get(project=project)
    assert record.price_status == "priced"
    assert record.cost_usd > 0
    assert record.input_tokens > 0


def test_python(snippet: Any, shell: Shell, project: Project, tmp_path: Path) -> None:
    given = snippet("python")
    assert given.install.endswith(" openai")
    wheel_only = given.install.removesuffix(" openai")
    shell(
        f"{wheel_only} --quiet --disable-pip-version-check --no-deps --no-index --target packages"
    )
    (tmp_path / "app.py").write_text(given.code)
    told = shell("python -W error app.py", PYTHONPATH=str(tmp_path / "packages"))
    assert told.strip()
    assert_one_priced_call_inside_a_trace(project, ["first"])


def test_python_guide(shell: Shell, server: Server, project: Project, tmp_path: Path) -> None:
    """All of its blocks, one after the other, are a program."""
    (tmp_path / "app.py").write_text("\n".join(code_of("python", "python.md")))
    source = str(ROOT / "sdks" / "python" / "src")
    shell("python -W error app.py", PYTHONPATH=source, **environ_of(project, server))
    assert_guide_is_stored(project)


def assert_guide_is_stored(project: Project) -> None:
    """The quickstart's trace, and the refund with its user, tag, step and score."""
    assert Trace.objects.filter(project=project, name="answer", tags=["support"]).exists()
    refund = Trace.objects.get(project=project, name="refund")
    assert (refund.user_id, refund.session_id, refund.tags) == ("u-17", "s-4", ["refund"])
    step = Span.objects.get(project=project, name="look up")
    assert (step.trace_id, step.kind) == (refund.trace_id, "retrieval")
    score = Score.objects.get(project=project)
    assert (score.name, score.reason) == ("resolved", "customer said thanks")


def test_javascript_guide(shell: Shell, server: Server, project: Project, tmp_path: Path) -> None:
    if not is_javascript_built() or not shutil.which("node"):
        pytest.skip("The JavaScript SDK is not built here: make sdk-build")
    modules = tmp_path / "node_modules"
    modules.mkdir()
    (modules / "llmlab").symlink_to(ROOT / "sdks" / "js")
    (modules / "openai").symlink_to(ROOT / "sdks" / "js" / "node_modules" / "openai")
    (tmp_path / "app.mjs").write_text("\n".join(code_of("js", "javascript.md")))
    shell("node app.mjs", **environ_of(project, server))
    assert_guide_is_stored(project)


def test_javascript(snippet: Any, shell: Shell, project: Project, tmp_path: Path) -> None:
    clients = ROOT / "sdks" / "js" / "node_modules"
    if not is_javascript_built() or not shutil.which("npm"):
        pytest.skip("The JavaScript SDK is not built here: make sdk-build")
    given = snippet("javascript")
    assert given.install.endswith(" openai")
    (tmp_path / "package.json").write_text('{"private": true}')
    shell(given.install.removesuffix(" openai") + " --no-audit --no-fund")
    (tmp_path / "node_modules" / "openai").symlink_to(clients / "openai")
    (tmp_path / "app.mjs").write_text(given.code)
    assert shell("node app.mjs").strip()
    assert_one_priced_call_inside_a_trace(project, ["first"])


def test_go(snippet: Any, shell: Shell, project: Project, tmp_path: Path, simulator: str) -> None:
    if not shutil.which("go"):
        pytest.skip("There is no Go here: make sdk-install")
    given = snippet("go")
    offline = {"GOPROXY": "off", "GOFLAGS": "-mod=mod"}
    shell(f"go mod init example\n{given.install}", **offline)
    code = given.code.replace("https://api.openai.com", simulator)
    assert code != given.code
    (tmp_path / "main.go").write_text(f"{code}\n")
    assert shell("gofmt -l main.go") == ""
    assert '"choices"' in shell("go vet ./... && go run .", **offline)
    assert_one_priced_call_inside_a_trace(project, ["first"])


def test_go_guide(
    shell: Shell, server: Server, project: Project, tmp_path: Path, simulator: str
) -> None:
    """The quickstart runs; the rest, which is no program, compiles."""
    if not shutil.which("go"):
        pytest.skip("There is no Go here: make sdk-install")
    quickstart, steps, rest = code_of("go", "go.md")
    (tmp_path / "main.go").write_text(quickstart.replace("https://api.openai.com", simulator))
    (tmp_path / "fragments.go").write_text(FRAGMENTS % (steps, rest))
    offline = {"GOPROXY": "off", "GOFLAGS": "-mod=mod"}
    shell(
        f"go mod init example\ngo mod edit -replace {GO_MODULE}={ROOT}/sdks/go\ngo get {GO_MODULE}",
        **offline,
    )
    shell("go vet ./... && go run .", **offline, **environ_of(project, server))
    assert_one_priced_call_inside_a_trace(project, ["support"])


def test_opentelemetry(snippet: Any, shell: Shell, project: Project, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(PROGRAM)
    shell(f"{snippet('otel').code}\npython app.py")
    assert Trace.objects.get(project=project).name == "chat gpt-4o-mini"
    assert CostRecord.objects.get(project=project).price_status == "priced"


def test_curl(snippet: Any, shell: Shell, project: Project) -> None:
    shell(snippet("curl").code.replace("curl ", "curl -fsS ", 1))
    trace = Trace.objects.get(project=project)
    assert (trace.name, trace.status) == ("first trace", "ok")
    record = CostRecord.objects.get(project=project)
    assert (record.input_tokens, record.output_tokens, record.price_status) == (812, 96, "priced")
