"""How each language's program is started; building what must be built. Standard library only.

python -m sdks.contract.programs.build      # builds all that this machine can
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

SDKS = Path(__file__).resolve().parents[1] / "sdks"
HERE = SDKS / "contract" / "programs"
LANGUAGES = ("python", "js", "go")


def missing(language: str) -> str:
    """What this machine lacks for `language`, in words; empty when nothing."""
    tool = {"js": "node", "go": "go"}.get(language)
    if tool and shutil.which(tool) is None:
        return f"{tool} is not on the PATH"
    if language == "js" and not (SDKS / "js" / "node_modules" / "openai").is_dir():
        return "sdks/js is not installed: make sdk-install"
    return ""


def found(tool: str) -> str:
    """Where a tool lies."""
    return shutil.which(tool) or tool


def command(language: str, target: Path) -> list[str]:
    """The program's start; what is built lands in `target`. Raises CalledProcessError when it cannot be built."""
    if language == "python":
        return [sys.executable, str(HERE / "python" / "program.py")]
    if language == "js":
        if not (SDKS / "js" / "dist").is_dir():
            subprocess.run([found("npm"), "run", "--silent", "build"], cwd=SDKS / "js", check=True)
        return [found("node"), str(HERE / "js" / "program.mjs")]
    binary = target / "llmlab-contract-go"
    environ = {**os.environ, "GOFLAGS": "-mod=mod", "GOPROXY": "off", "CGO_ENABLED": "0"}
    subprocess.run(
        [found("go"), "build", "-o", str(binary), "."], cwd=HERE / "go", env=environ, check=True
    )
    return [str(binary)]
