"""A configuration of its own for every test, no keyring of the machine, and a small LLMLab."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cli_server import Server

from llmlab.cli.app import run


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LLMLAB_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    return tmp_path


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


@pytest.fixture
def logged_in(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """As in a pipeline."""
    monkeypatch.setenv("LLMLAB_API_KEY", "llmlab_sk_test")
    monkeypatch.setenv("LLMLAB_BASE_URL", server.url)
    monkeypatch.setenv("LLMLAB_PROJECT", "shop")
    return server


Ran = tuple[int, str, str]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Exit code, standard output, standard error."""

    def call(*arguments: str) -> Ran:
        capsys.readouterr()
        code = run(list(arguments))
        return (code, *capsys.readouterr())

    return call
