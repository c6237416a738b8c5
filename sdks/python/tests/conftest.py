"""What the tests share: a provider to talk to and a client that keeps what it records."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def simulator() -> Iterator[str]:
    """The address of examples/simulator, a process of its own: it speaks OpenAI and Anthropic."""
    process = subprocess.Popen(
        [sys.executable, "-m", "examples.simulator", "--port", "0", "--pace", "0"],
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert "http://" in line, f"The simulator did not start: {line!r}"
        yield line.split()[-1]
    finally:
        process.terminate()
        process.wait(timeout=10)
        process.stdout.close()
