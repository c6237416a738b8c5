"""What an SDK costs the program it watches: one call more expensive by how much, how much memory with a dead server.

Each language's program (`sdks/contract/programs`) makes the same calls to the simulator at 0 ms, bare and instrumented
by turns, in blocks, on one kept connection; the difference of the medians is the SDK's. Steps go to a small server that
takes them as LLMLab would, so that storing them does not disturb the cores; `--memory` points them at a closed port.
"""

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.sdk_programs import LANGUAGES, command, missing
from benchmarks.stack import machine
from config.embedded.state import free_port
from tests.fakes.http_server import Received, running_server
from tests.fakes.simulator import running_simulator

BAR_US = {"python": 150, "js": 100, "go": 30}
BAR_GROWTH_MIB = 64


def accept(request: Received, number: int) -> tuple[int, dict[str, str], bytes]:
    """The answer of LLMLab's JSON door when all is stored."""
    traces = json.loads(request.body).get("traces", []) if request.body else []
    results = [
        {"index": i, "trace_id": t["trace_id"], "status": 201, "result": "stored", "rejected": []}
        for i, t in enumerate(traces)
    ]
    return 207, {"content-type": "application/json"}, json.dumps({"results": results}).encode()


def _sink(ready: Any) -> None:
    """In a process of its own: the measured program must not share a core's time with this one's work."""
    with running_server(accept) as server:
        ready.send(server.url)
        ready.recv()


def run(program: list[str], *arguments: str, provider: str, collector: str, **more: str) -> Any:
    """The program's last line, read as JSON. Its environment is its own."""
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "LLMLAB_API_KEY": "llmlab_sk_benchmark",
        "LLMLAB_PROJECT": "benchmark",
        "LLMLAB_BASE_URL": collector,
        "PROVIDER_URL": provider,
        "OPENAI_API_KEY": "sk-simulated",
        "ANTHROPIC_API_KEY": "sk-ant-simulated",
        **more,
    }
    done = subprocess.run(
        [*program, *arguments],
        env=environ,
        stdout=subprocess.PIPE,
        text=True,
        timeout=1800,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{program[-1]} {' '.join(arguments)} ended with {done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=3000)
    parser.add_argument("--memory", type=int, default=0, metavar="CALLS", help="with a dead server")
    parser.add_argument("--languages", nargs="+", default=list(LANGUAGES), choices=LANGUAGES)
    options = parser.parse_args()
    print(machine())
    ours, theirs = multiprocessing.Pipe()
    sink = multiprocessing.Process(target=_sink, args=(theirs,), daemon=True)
    sink.start()
    collector, failed = ours.recv(), False
    with tempfile.TemporaryDirectory() as directory, running_simulator() as simulator:
        for language in options.languages:
            if reason := missing(language):
                print(f"{language}: left out, {reason}")
                failed = True
                continue
            program = command(language, Path(directory))
            told = run(
                program, "overhead", str(options.calls), provider=simulator, collector=collector
            )
            bar = BAR_US[language]
            failed |= told["overhead_us"] > bar
            print(
                f"{language}: bare {told['bare_us']:.0f} µs, instrumented {told['instrumented_us']:.0f} µs:"
                f" {told['overhead_us']:+.0f} µs per call (bar {bar})"
            )
            if options.memory:
                dead = f"http://127.0.0.1:{free_port()}"
                told = run(
                    program, "memory", str(options.memory), provider=simulator, collector=dead
                )
                grown = told["peak_mib"] - told["before_mib"]
                failed |= grown > BAR_GROWTH_MIB
                print(
                    f"{language}: {options.memory} calls, server dead: {told['before_mib']:.0f} MiB after the first"
                    f" 1,000, highest {told['peak_mib']:.0f} MiB, {told['dropped']} steps dropped and counted"
                )
    ours.send("end")
    sink.join(5)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
