"""Runs a client's program to its end against a server; the test is left out, saying why, where it is not installed."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.clients import install

ROOT = install.HERE.parents[1]
TIMEOUT = 120
Told = dict[str, dict[str, Any]]


def require(name: str, target: Path = install.TARGET) -> None:
    """Go on only with an installed client."""
    if install.is_installed(name, target):
        return
    if reason := install.failure(name, target):
        pytest.skip(f"The client {name} could not be installed here: {reason}")
    pytest.fail(f"The client {name} is not installed. Install it with: make clients")


def run_client(
    name: str, simulator: str, collector: str, key: str, *scenarios: str, **environ: str
) -> Told:
    """What the client's SDK was told, by scenario. Its environment is empty but for `environ`."""
    require(name)
    done = subprocess.run(
        [*_command(name), simulator, collector, key, *scenarios],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HOME": "/tmp", **environ},  # noqa: S108
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told: Told = json.loads(done.stdout.splitlines()[-1])
    return told


def _command(name: str) -> list[str]:
    directory = install.TARGET / name
    script = install.HERE / name / "program.mjs"
    if not script.exists():
        return [str(directory / "bin" / "python"), "-m", f"tests.clients.{name}.program"]
    # Modules are looked up from where the script lies.
    shutil.copy(script, directory / script.name)
    return [str(install.node(directory)), str(directory / script.name)]
