"""What benchmarks.gateway compares: LLMLab with all its processes, and LiteLLM's proxy from its own environment."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from redis import Redis

from benchmarks.gateway_load import Plan, Seen
from benchmarks.stack import ROOT, START_SECONDS, Stack, cpu_seconds
from config import children
from config.embedded.state import free_port

_WORKER = ["-m", "celery", "-A", "config", "worker", "--pool", "threads", "--include", "core.metrics"]  # fmt: skip
_WORKER += ["--loglevel", "WARNING"]
# As the Procfile starts them.
PROGRAMS = {
    "worker": [*_WORKER, "--concurrency", "8", "--queues", "ingest,sync,analysis"],
    "llm": [*_WORKER, "--hostname", "llm@%h", "--concurrency", "4", "--queues", "llm.high,llm.normal,llm.low"],
    "notify": [*_WORKER, "--hostname", "notify@%h", "--concurrency", "12", "--queues", "notify"],
    "beat": ["-m", "celery", "-A", "config", "beat", "--loglevel", "WARNING", "--pidfile="],
}  # fmt: skip
SETTLE_SECONDS = 30


class Side(Protocol):
    """One of those compared."""

    name: str
    url: str
    key: str

    def cpu(self) -> dict[str, float]:
        """CPU seconds so far by program, children included."""

    def settle(self, seen: Seen) -> None:
        """Return when the work those calls left behind is done."""


def load(side: Side, model: str = "plain", **more: Any) -> Seen:
    """Run the client in a process of its own."""
    plan = Plan(url=side.url, key=side.key, model=model, **more)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.gateway_load", json.dumps(asdict(plan))],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"the client failed: {done.stderr[-2000:]}")
    return Seen(**json.loads(done.stdout))


class Direct:
    """The provider without anything between."""

    name, key = "provider", "sk-bench"

    def __init__(self, url: str) -> None:
        self.url = url

    def cpu(self) -> dict[str, float]:
        return {}

    def settle(self, seen: Seen) -> None:
        pass

    def answered(self) -> int:
        """How many calls reached the provider so far."""
        with urllib.request.urlopen(self.url, timeout=10) as answer:
            return int(json.load(answer)["answered"])


@contextmanager
def provider(wait: float = 0.0) -> Iterator[Direct]:
    """The local provider, in a process of its own."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.gateway_provider", str(port), str(wait)],
        cwd=ROOT, preexec_fn=children.die_with_parent(signal.SIGTERM),
    )  # fmt: skip
    direct = Direct(f"http://127.0.0.1:{port}")
    try:
        wait_for(direct.url, process)
        yield direct
    finally:
        process.kill()
        process.wait()


def wait_for(url: str, process: "subprocess.Popen[bytes]", seconds: float = 10) -> None:
    """Until something answers there with a 200; raises RuntimeError when it does not."""
    end = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < end:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"nothing answers at {url}")


class LLMLab:
    """The whole product on a stack: each call it answered is noted, and looked for in the end."""

    name = "LLMLab"

    def __init__(self, stack: Stack, key: str) -> None:
        self.stack, self.url, self.key = stack, stack.url, key
        self.database = stack.connect()
        self.ids: list[str] = []
        self.unanswered = 0

    def cpu(self) -> dict[str, float]:
        return {name: cpu_seconds(one.pid) for name, one in self.stack.processes.items()}

    def settle(self, seen: Seen) -> None:
        """Recording is part of a call, so it is waited for."""
        self.ids += seen.ids
        self.unanswered += seen.failed
        end = time.monotonic() + SETTLE_SECONDS
        while self.recorded() < len(self.ids) and time.monotonic() < end:
            time.sleep(0.25)

    def recorded(self) -> int:
        row = self.database.execute("SELECT count(*) FROM gateway_llmrequest").fetchone()
        return int(row[0]) if row else 0

    def books(self) -> dict[str, int]:
        """Answered calls against rows and steps: every number but the first three must be 0."""
        rows = self.database.execute("SELECT id, span_id FROM gateway_llmrequest").fetchall()
        steps = self.database.execute("SELECT span_id FROM traces_span").fetchall()
        answered = {one.replace("-", "") for one in self.ids}
        noted, spans = {one.hex for one, _ in rows}, {one for (one,) in steps}
        return {
            "answered": len(self.ids),
            "rows": len(rows),
            "steps": len(steps),
            "answered without a row": len(answered - noted),
            "answered without a step": len({one for _, one in rows if one} - spans)
            + sum(not one for _, one in rows),
            "rows twice": len(rows) - len(noted),
            "steps twice": len(steps) - len(spans),
            # What the client gave up on may have a row, and need not.
            "rows nobody asked for": max(0, len(noted - answered) - self.unanswered),
            "steps without a row": len(spans - {one for _, one in rows}),
        }


@contextmanager
def llmlab(direct: Direct, *, only_llm: bool = False) -> Iterator[LLMLab]:
    """Started as the Procfile does; `only_llm` leaves out what plays no part in the calls."""
    environ = {
        "LLMLAB_OUTBOUND_ALLOW": urlsplit(direct.url).netloc,
        "CELERY_SKIP_CHECKS": "1",
        "MALLOC_ARENA_MAX": "2",
        "LLMLAB_GATEWAY_DRAIN_SECONDS": "5",
    }
    with Stack(environ=environ) as stack:
        seeded = stack._run("-m", "benchmarks.gateway_seed", stack.project_id, direct.url)
        for name in ("llm",) if only_llm else PROGRAMS:
            stack._spawn(name, PROGRAMS[name])
        end = time.monotonic() + START_SECONDS
        with Redis.from_url(stack.redis_url()) as redis:
            while not redis.zcard("{gw}:workers"):
                if time.monotonic() > end or stack.processes["llm"].poll() is not None:
                    raise RuntimeError(f"The worker did not start:\n{stack.log('llm')[-3000:]}")
                time.sleep(0.1)
        yield LLMLab(stack, json.loads(seeded)["key"])


class LiteLLM:
    """Its proxy with a key and without a database: it records nothing."""

    name, key = "LiteLLM", "sk-bench-master"

    def __init__(self, process: "subprocess.Popen[bytes]", url: str) -> None:
        self.process, self.url = process, url

    def cpu(self) -> dict[str, float]:
        return {"proxy": cpu_seconds(self.process.pid)}

    def settle(self, seen: Seen) -> None:
        time.sleep(1)  # what it logs after an answer


@contextmanager
def litellm(environment: Path, direct: Direct, workers: int) -> Iterator[LiteLLM]:
    """From the virtual environment at that directory. Raises RuntimeError where it does not start."""
    program = environment / "bin" / "litellm"
    if not program.exists():
        raise RuntimeError(f"there is no {program}")
    with tempfile.TemporaryDirectory(prefix="llmlab-bench-litellm-") as directory:
        config, log = Path(directory) / "config.yaml", Path(directory) / "log"
        parameters = {
            "model": "openai/gpt-4o-mini", "api_base": f"{direct.url}/v1", "api_key": "sk-bench",
        }  # fmt: skip
        document = {
            "model_list": [{"model_name": "plain", "litellm_params": parameters}],
            "litellm_settings": {"telemetry": False},
            "general_settings": {"master_key": LiteLLM.key},
        }
        config.write_text(json.dumps(document))  # JSON is YAML
        port = free_port()
        kept = {k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "REDIS_URL")}
        environ = kept | {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"}
        command = [
            str(program),
            "--config",
            str(config),
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
        ]
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*command, "--num_workers", str(workers)],
                cwd=directory, env=environ, stdout=output, stderr=output,
                preexec_fn=children.die_with_parent(signal.SIGTERM),
            )  # fmt: skip
        try:
            url = f"http://127.0.0.1:{port}"
            try:
                wait_for(f"{url}/health/liveliness", process, 120)
            except RuntimeError as error:
                raise RuntimeError(f"{error}: {log.read_text()[-500:]}") from None
            yield LiteLLM(process, url)
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
