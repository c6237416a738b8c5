"""Starts examples/simulator in its own process on a free port, for tests that need a provider."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def running_simulator(*, pace: str = "0") -> Iterator[str]:
    """The base address of a simulator that lives as long as the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "examples.simulator", "--port", "0", "--pace", pace],
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        if "http://" not in line:
            raise RuntimeError(f"The simulator did not start: {line!r} (exit {process.poll()}).")
        yield line.split()[-1]
    finally:
        process.terminate()
        process.wait(timeout=10)
        process.stdout.close()
