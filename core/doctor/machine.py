"""Doctor's checks of this machine: Python, packages, the data directory and the secrets."""

import base64
import binascii
import shutil
import sys
import tempfile
from importlib import metadata
from pathlib import Path

from django.conf import settings

from core.doctor.findings import Finding, fail, ok, warn

MIB = 1024 * 1024
MINIMUM_PYTHON = (3, 11)
LOW_DISK_MIB, NO_DISK_MIB = 2048, 256


def python_version() -> list[Finding]:
    """3.11 or newer."""
    found = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < MINIMUM_PYTHON:
        return [fail("python", found, "Install Python 3.11 or newer and run: make clean install")]
    return [ok("python", found)]


def packages() -> list[Finding]:
    """Every requirement at exactly its pinned version."""
    wrong = []
    lines = (settings.BASE_DIR / "requirements.txt").read_text(encoding="utf-8").splitlines()
    pins = [line.split("#")[0].strip() for line in lines if "==" in line.split("#")[0]]
    for pin in pins:
        name, _, version = pin.partition("==")
        try:
            found = metadata.version(name.partition("[")[0])
        except metadata.PackageNotFoundError:
            found = "missing"
        if found != version:
            wrong.append(f"{name} is {found}, pinned {version}")
    if wrong:
        return [
            fail("packages", "; ".join(wrong), "Run: .venv/bin/pip install -r requirements.txt")
        ]
    return [ok("packages", f"{len(pins)} at their pinned versions")]


def data_directory() -> list[Finding]:
    """Writable, with room to grow."""
    directory: Path = settings.LLMLAB_DATA_DIR
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        advice = "Make it writable for this user, or set LLMLAB_DATA_DIR to another place."
        return [fail("data directory", f"{directory}: {error.strerror}", advice)]
    free = shutil.disk_usage(directory).free // MIB
    detail = f"{directory}, {free} MiB free"
    if free < NO_DISK_MIB:
        return [
            fail(
                "data directory", detail, "Free some space: PostgreSQL stops when the disk is full."
            )
        ]
    if free < LOW_DISK_MIB:
        return [
            warn("data directory", detail, "Free some space, or shorten LLMLAB_RETENTION_DAYS.")
        ]
    return [ok("data directory", detail)]


def secrets() -> list[Finding]:
    """A real secret key and at least one encryption key of 32 bytes."""
    if settings.SECRET_KEY.startswith("insecure"):
        return [fail("secrets", "LLMLAB_SECRET_KEY is not set", "Set it to 50 random characters.")]
    if not settings.LLMLAB_ENCRYPTION_KEYS:
        advice = "Set LLMLAB_ENCRYPTION_KEYS to the base64 of 32 random bytes."
        return [fail("secrets", "no encryption key", advice)]
    if not all(_is_key(text) for text in settings.LLMLAB_ENCRYPTION_KEYS):
        advice = "Each of LLMLAB_ENCRYPTION_KEYS is the base64 of 32 bytes: openssl rand -base64 32"
        return [fail("secrets", "an encryption key has the wrong form", advice)]
    return [
        ok("secrets", f"secret key and {len(settings.LLMLAB_ENCRYPTION_KEYS)} encryption key(s)")
    ]


def _is_key(text: str) -> bool:
    try:
        return len(base64.b64decode(text, validate=True)) == 32
    except binascii.Error:
        return False
