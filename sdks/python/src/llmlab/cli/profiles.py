"""Where you are logged in: profiles in one file of mode 0600, keys in the system's keyring when there is one."""

from __future__ import annotations

import json
import os
import stat
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from llmlab.cli import keystore
from llmlab.cli.errors import CliError

DEFAULT = "default"


class Profile(NamedTuple):
    """One server, one project, one key."""

    name: str
    address: str
    project: str
    key: str
    key_in: str  # "keyring", "file" or "environment"


def config_dir() -> Path:
    """LLMLAB_CONFIG_DIR, or the platform's place: ~/.config/llmlab, ~/Library/Application Support/llmlab, …"""
    given = os.environ.get("LLMLAB_CONFIG_DIR", "").strip()
    if given:
        return Path(given)
    from platformdirs import user_config_dir

    return Path(user_config_dir("llmlab", appauthor=False))


def config_file() -> Path:
    """The profiles."""
    return config_dir() / "config.json"


def read_all() -> dict[str, Any]:
    """`{"current": name, "profiles": {name: {...}}}`; empty where nobody logged in yet."""
    path = config_file()
    try:
        with path.open(encoding="utf-8") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if os.name == "posix" and mode & 0o077:
                os.chmod(path, 0o600)  # it may hold keys; somebody copied it about
            document = json.load(file)
    except FileNotFoundError:
        return {"current": DEFAULT, "profiles": {}}
    except (OSError, ValueError) as error:
        raise CliError(
            f"{path} cannot be read ({error}). Mend or delete it, then: llmlab login"
        ) from None
    if not isinstance(document, dict) or not isinstance(document.get("profiles"), dict):
        raise CliError(f"{path} holds no profiles. Delete it, then: llmlab login")
    return document


def write_all(document: dict[str, Any]) -> None:
    """Whole or not at all, readable by its owner only."""
    write_private(config_file(), json.dumps(document, indent=2) + "\n")


def write_private(path: Path, text: str) -> None:
    """A file of mode 0600 that is there whole or not at all."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, made = tempfile.mkstemp(dir=path.parent, prefix=".writing-")  # mode 0600
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(made, path)
    except OSError as error:
        raise CliError(f"{path} cannot be written: {error.strerror or error}.") from None


def save(profile: Profile, *, use_keyring: bool) -> Profile:
    """Keep a profile and make it the current one; returns it with the place of its key."""
    document = read_all()
    stored = use_keyring and keystore.store(profile.name, profile.address, profile.key)
    entry = {"address": profile.address, "project": profile.project}
    if not stored:
        entry["key"] = profile.key
    document["profiles"][profile.name] = entry
    document["current"] = profile.name
    write_all(document)
    return profile._replace(key_in="keyring" if stored else "file")


def remove(name: str) -> bool:
    """Forget a profile and its key; False when there is none of the name."""
    document = read_all()
    entry = document["profiles"].pop(name, None)
    if entry is None:
        return False
    if "key" not in entry:
        keystore.forget(name, str(entry.get("address", "")))
    if document.get("current") == name:
        document["current"] = next(iter(document["profiles"]), DEFAULT)
    write_all(document)
    return True


def names() -> list[str]:
    """All profiles by name."""
    return sorted(read_all()["profiles"])


def current_name(wanted: str = "") -> str:
    """The profile that is asked for: option, LLMLAB_PROFILE, the last login."""
    return (
        wanted
        or os.environ.get("LLMLAB_PROFILE", "").strip()
        or str(read_all().get("current") or DEFAULT)
    )


def from_environment() -> Profile | None:
    """LLMLAB_API_KEY with LLMLAB_BASE_URL and LLMLAB_PROJECT, as the SDK reads them: a pipeline needs no login.

    The address comes from the environment, too: a stored key must never go where a variable points.
    """
    key = os.environ.get("LLMLAB_API_KEY", "").strip()
    if not key:
        return None
    address = os.environ.get("LLMLAB_BASE_URL", "").strip() or "http://localhost:8000"
    project = os.environ.get("LLMLAB_PROJECT", "").strip()
    return Profile("(environment)", address, project, key, "environment")


def find(wanted: str = "") -> Profile:
    """The profile to work with. One that is named goes before the environment, that before the last login."""
    if not (wanted or os.environ.get("LLMLAB_PROFILE", "").strip()):
        given = from_environment()
        if given is not None:
            return given
    name = current_name(wanted)
    entry = read_all()["profiles"].get(name)
    if entry is None:
        known = ", ".join(names())
        rest = (
            f" There are: {known}."
            if known
            else " Run: llmlab login, or set LLMLAB_API_KEY and LLMLAB_BASE_URL."
        )
        raise CliError(
            f"There is no profile {name!r}.{rest}"
            if known or wanted
            else f"You are not logged in.{rest}"
        )
    return _with_key(name, entry)


def _with_key(name: str, entry: dict[str, Any]) -> Profile:
    address, project = str(entry.get("address", "")), str(entry.get("project", ""))
    if entry.get("key"):
        return Profile(name, address, project, str(entry["key"]), "file")
    key = keystore.read(name, address)
    if not key:
        raise CliError(
            f"The key of profile {name!r} is not in the keyring any more. Log in again: llmlab login"
        )
    return Profile(name, address, project, key, "keyring")
