"""Every test has its own server and clients; no setting of the developer's shell gets in."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from door import Door

from llmlab import LLMLab
from llmlab.client import clients

ROOT = Path(__file__).resolve().parents[3]
SIMULATOR = ("-m", "examples.simulator", "--port", "0", "--pace", "0")
FAST = {"flush_interval": 0.1, "live_interval": 0, "timeout": 2}


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("LLMLAB_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture
def door() -> Iterator[Door]:
    made = Door()
    yield made
    made.close()


@pytest.fixture
def make() -> Iterator[Callable[..., LLMLab]]:
    """Clients that are shut down at the end of the test."""
    made: list[LLMLab] = []

    def build(base_url: str, **settings: Any) -> LLMLab:
        settings = {"api_key": "llmlab_sk_test", "project": "shop", **FAST, **settings}
        made.append(LLMLab(base_url=base_url, **settings))
        return made[-1]

    yield build
    for client in made:
        client.shutdown(0.2)
    clients.clear()


@pytest.fixture
def llm(door: Door, make: Callable[..., LLMLab]) -> LLMLab:
    return make(door.url)


@pytest.fixture(scope="session")
def simulator() -> Iterator[str]:
    """The address of examples/simulator, a process of its own: it speaks OpenAI and Anthropic."""
    process = subprocess.Popen(
        # It needs a newer Python than the SDK may be tested with.
        [os.environ.get("SIMULATOR_PYTHON", sys.executable), *SIMULATOR],
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
