"""Other versions of the clients, each in an environment of its own under `var/clients`, as `tests/pins` pins them.

Installed when a test asks first, and kept; a test is left out, saying why, where there is no package index.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
PINS = HERE / "pins"
# A worktree has no `var` of its own worth filling: installations may be shared by this.
TARGET = Path(os.environ.get("LLMLAB_TEST_CLIENTS") or ROOT / "var" / "clients")
INSTALL_TIMEOUT, RUN_TIMEOUT = 300, 120


def names(library: str) -> list[str]:
    """The pinned environments of a library."""
    return sorted(path.stem for path in PINS.glob(f"{library}*.txt"))


def python_of(name: str) -> Path:
    """The interpreter of an environment; installs it first if need be."""
    pins = PINS / f"{name}.txt"
    wanted = hashlib.sha256(pins.read_bytes() + repr(sys.version_info[:2]).encode()).hexdigest()
    directory = TARGET / f"sdk-{name}"
    stamp, python = directory / ".installed", directory / "bin" / "python"
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted:
        _run(sys.executable, "-m", "venv", "--clear", "--without-pip", str(directory))
        try:
            _run(
                sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet",
                "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:", "-r", str(pins),
            )  # fmt: skip
        except subprocess.CalledProcessError as error:
            reason = str(error.stderr).strip().rpartition("\n")[2]
            pytest.skip(f"{name} could not be installed here: {reason}")
        stamp.write_text(wanted, encoding="utf-8")
    return python


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=INSTALL_TIMEOUT)


def output_of(name: str, program: str, *arguments: str) -> str:
    """What a program of these tests prints when it runs in an environment."""
    done = subprocess.run(
        [str(python_of(name)), "-W", "error::RuntimeWarning", str(HERE / program), *arguments],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": f"{HERE.parent / 'src'}:{HERE}"},
        capture_output=True,
        text=True,
        timeout=RUN_TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Exception ignored" not in done.stderr, done.stderr[-3000:]
    return done.stdout
