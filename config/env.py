"""Settings from the environment: typed, with `<NAME>_FILE` for secrets, and a bad value stops start-up.

Built on django-environ's parsing of database URLs; the readers here add the file form and errors that
name the variable.
"""

import os
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

TRUE = {"1", "true", "yes", "on"}
FALSE = {"0", "false", "no", "off", ""}


def env_str(name: str, default: str | None = None) -> str:
    """The value of `name`; raises ImproperlyConfigured when it is missing and has no default."""
    value = os.environ.get(name)
    if value is not None:
        return value
    if default is None:
        raise ImproperlyConfigured(f"Set the environment variable {name}.")
    return default


def env_int(name: str, default: int, *, minimum: int = 0, maximum: int | None = None) -> int:
    """A whole number between `minimum` and `maximum`."""
    text = os.environ.get(name, "").strip()
    if not text:
        return default
    try:
        value = int(text)
    except ValueError:
        raise ImproperlyConfigured(f"{name}={text!r} is not a whole number.") from None
    if value < minimum or (maximum is not None and value > maximum):
        limit = f"between {minimum} and {maximum}" if maximum is not None else f"{minimum} or more"
        raise ImproperlyConfigured(f"{name}={value} must be {limit}.")
    return value


def env_bool(name: str, default: bool) -> bool:
    """1/true/yes/on or 0/false/no/off, in any case."""
    text = os.environ.get(name)
    if text is None:
        return default
    if text.strip().lower() in TRUE:
        return True
    if text.strip().lower() in FALSE:
        return False
    raise ImproperlyConfigured(
        f"{name}={text!r} must be one of 1, 0, true, false, yes, no, on, off."
    )


def env_list(name: str, default: str = "") -> list[str]:
    """A comma-separated list without blanks."""
    return [part.strip() for part in os.environ.get(name, default).split(",") if part.strip()]


def env_secret(name: str, default: str | None = None) -> str:
    """Like `env_str`; `<name>_FILE` names a file that holds the value (Docker and Kubernetes secrets)."""
    path = os.environ.get(f"{name}_FILE")
    if not path:
        return env_str(name, default)
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ImproperlyConfigured(
            f"{name}_FILE={path!r} cannot be read: {error.strerror}."
        ) from error


def data_dir(default: Path) -> Path:
    """Where everything that LLMLab stores on this machine lives (`LLMLAB_DATA_DIR`, default `var/`)."""
    return Path(os.environ.get("LLMLAB_DATA_DIR") or default).expanduser().resolve()
