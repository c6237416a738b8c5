"""Run small programs of their own, to see how they end."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

SRC = Path(__file__).resolve().parents[1] / "src"


def start(code: str, url: str, **env: str) -> subprocess.Popen[str]:
    """The program in a fresh interpreter, with the SDK's settings in its environment."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("LLMLAB_")}
    settings = {
        "PYTHONPATH": str(SRC),
        "LLMLAB_API_KEY": "llmlab_sk_test",
        "LLMLAB_PROJECT": "shop",
        "LLMLAB_BASE_URL": url,
        "LLMLAB_LIVE_INTERVAL": "0",
    }
    return subprocess.Popen(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", textwrap.dedent(code)],
        env={**clean, **settings, **env},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(code: str, url: str, timeout: float = 30, **env: str) -> tuple[int, str, str]:
    """Exit code, output and errors of the program."""
    process = start(code, url, **env)
    out, err = process.communicate(timeout=timeout)
    return process.returncode, out, err


def line(process: Any) -> str:
    """The next line the program prints."""
    return str(process.stdout.readline()).strip()


def end(process: Any) -> tuple[int, str]:
    """Wait for it; exit code and errors."""
    _, err = process.communicate(timeout=30)
    return process.returncode, err
