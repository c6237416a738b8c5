"""The `llmlab` command line. Nothing of it is imported by `import llmlab`; it needs the extra `llmlab[cli]`."""

from __future__ import annotations

import sys

MISSING = "llmlab: the command line needs some packages more. Install them with: pip install 'llmlab[cli]'"


def main() -> None:
    """The entry point `llmlab`."""
    try:
        from llmlab.cli.app import run
    except ModuleNotFoundError as error:
        if error.name in ("typer", "rich", "platformdirs", "websockets", "click"):
            sys.stderr.write(MISSING + "\n")
            raise SystemExit(2) from None
        raise
    raise SystemExit(run(sys.argv[1:]))
