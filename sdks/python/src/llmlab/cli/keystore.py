"""Keys in the operating system's keyring, where a real one answers. Never raises: without one the file is used."""

from __future__ import annotations

from typing import Any

SERVICE = "llmlab"


def backend() -> Any:
    """The keyring, or None: no package, no desktop session, or one that keeps nothing."""
    try:
        import keyring
        from keyring.backends import chainer, fail, null

        found = keyring.get_keyring()
        if isinstance(found, (fail.Keyring, null.Keyring)):
            return None
        if isinstance(found, chainer.ChainerBackend) and not found.backends:
            return None
        # Below 1 are stores that a person has to choose (a plain text file, for one).
        return found if found.priority >= 1 else None
    except Exception:
        return None


def _user(profile: str, address: str) -> str:
    return f"{profile}@{address}"


def store(profile: str, address: str, key: str) -> bool:
    """Whether the keyring took it, proven by reading it back."""
    found = backend()
    if found is None:
        return False
    try:
        found.set_password(SERVICE, _user(profile, address), key)
        return bool(found.get_password(SERVICE, _user(profile, address)) == key)
    except Exception:
        return False


def read(profile: str, address: str) -> str:
    """The key, or nothing."""
    found = backend()
    if found is None:
        return ""
    try:
        return str(found.get_password(SERVICE, _user(profile, address)) or "")
    except Exception:
        return ""


def forget(profile: str, address: str) -> None:
    """Take it out; one that is gone is no error."""
    found = backend()
    if found is not None:
        try:
            found.delete_password(SERVICE, _user(profile, address))
        except Exception:
            pass
