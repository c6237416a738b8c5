"""Settings: argument, else environment variable, else default. A bad value is told once, never raised."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, Union

logger = logging.getLogger("llmlab")

D = TypeVar("D")
Mask = Union[str, Callable[[str], str]]
BUILTIN_MASKS = ("email", "phone", "credit_card", "api_key")
_TRUE = frozenset(("1", "true", "yes", "on"))
_FALSE = frozenset(("0", "false", "no", "off"))


class Settings:
    """What a client was told. See the README for what each means."""

    __slots__ = (
        "api_key",
        "base_url",
        "capture_content",
        "debug",
        "drain_seconds",
        "enabled",
        "environment",
        "flush_at",
        "flush_interval",
        "live_interval",
        "mask",
        "max_queue_bytes",
        "project",
        "release",
        "sample_rate",
        "server_budgets",
        "spool_dir",
        "stream_usage",
        "timeout",
    )

    def __init__(self, **given: Any) -> None:
        read = _Reader(given)
        self.api_key: str = read.text("api_key")
        self.project: str = read.text("project")
        self.base_url: str = read.address("base_url", "http://localhost:8000")
        self.environment: str = read.text("environment")
        self.release: str = read.text("release")
        self.enabled: bool = read.flag("enabled", True)
        self.capture_content: bool = read.flag("capture_content", True)
        self.mask: tuple[Mask, ...] = read.masks("mask")
        self.sample_rate: float = read.number("sample_rate", 1.0, 0, 1)
        self.flush_at: int = int(read.number("flush_at", 100, 1, 1_000))
        self.flush_interval: float = read.number("flush_interval", 5, 0.01, 3_600)
        self.live_interval: float = read.number("live_interval", 1, 0, 3_600)
        self.max_queue_bytes: int = int(read.number("max_queue_bytes", 33_554_432, 65_536, 1 << 40))
        self.spool_dir: str = read.text("spool_dir")
        self.timeout: float = read.number("timeout", 10, 0.1, 600)
        self.drain_seconds: float = read.number("drain_seconds", 5, 0, 600)
        self.stream_usage: bool = read.flag("stream_usage", True)
        self.server_budgets: bool = read.flag("server_budgets", False)
        self.debug: bool = read.flag("debug", False)
        read.refuse_unknown()
        if self.debug:
            show_everything()


class _Reader:
    """One setting at a time, from the arguments or the environment."""

    def __init__(self, given: dict[str, Any]) -> None:
        self.given = given
        self.known: set[str] = set()

    def raw(self, name: str) -> Any:
        """The argument, else the environment's text, else None; an empty text counts as none."""
        self.known.add(name)
        value = self.given.get(name)
        if value is None:
            value = os.environ.get(f"LLMLAB_{name.upper()}", "").strip() or None
        return value

    def text(self, name: str, default: str = "") -> str:
        value = self.raw(name)
        if value is None:
            return default
        if not isinstance(value, (str, os.PathLike)):
            return self.bad(name, value, "it must be text", default)
        return os.fsdecode(value).strip()

    def address(self, name: str, default: str) -> str:
        text = self.text(name, default).rstrip("/")
        if not text.lower().startswith(("http://", "https://")):
            return self.bad(name, text, "it must start with http:// or https://", default)
        return text

    def flag(self, name: str, default: bool) -> bool:
        value = self.raw(name)
        if value is None or isinstance(value, bool):
            return default if value is None else value
        word = str(value).strip().lower()
        if word in _TRUE or word in _FALSE:
            return word in _TRUE
        return self.bad(name, value, "it must be true or false", default)

    def number(self, name: str, default: float, low: float, high: float) -> float:
        value = self.raw(name)
        if value is None:
            return default
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            return self.bad(name, value, "it must be a number", default)
        if not low <= number <= high:  # refuses NaN too
            return self.bad(name, value, f"it must lie between {low:g} and {high:g}", default)
        return number

    def masks(self, name: str) -> tuple[Mask, ...]:
        value = self.raw(name)
        if value is None:
            return ()
        if isinstance(value, str):
            value = [word.strip() for word in value.split(",") if word.strip()]
        elif callable(value):
            value = [value]
        if not isinstance(value, Iterable):
            return self.bad(name, value, "it must be names, callables or a list of them", ())
        kept: list[Mask] = []
        for one in value:
            if callable(one) or one in BUILTIN_MASKS:
                kept.append(one)
            else:
                rule = f"a mask is a callable or one of {', '.join(BUILTIN_MASKS)}"
                self.bad(name, one, rule, None)
        return tuple(kept)

    def bad(self, name: str, value: Any, rule: str, default: D) -> D:
        shown = "…" if name == "api_key" else repr(value)[:80]
        logger.warning("LLMLab: %s is %s: %s. %r is used.", name, shown, rule, default)
        return default

    def refuse_unknown(self) -> None:
        for name in sorted(set(self.given) - self.known):
            logger.warning(
                "LLMLab: there is no setting %s; known are %s.", name, ", ".join(sorted(self.known))
            )


def show_everything() -> None:
    """What LLMLAB_DEBUG is for: our log to stderr, whatever the program's logging does."""
    logger.setLevel(logging.DEBUG)
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        logger.addHandler(handler)
