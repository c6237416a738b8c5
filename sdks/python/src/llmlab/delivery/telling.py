"""Say a fault once, clearly, and not again with every call."""

from __future__ import annotations

import time

from llmlab.config import logger

_RARELY = 60.0


class Teller:
    """Remembers what was said. A race may say a thing twice, which harms nobody."""

    def __init__(self) -> None:
        self._said: set[str] = set()
        self._when: dict[str, float] = {}

    def once(self, code: str, message: str, *args: object) -> None:
        """A warning, the first time this code comes up (until `forget`)."""
        if code in self._said:
            logger.debug(message, *args)
            return
        self._said.add(code)
        logger.warning(message, *args)

    def rarely(self, code: str, message: str, *args: object) -> None:
        """A warning, at most once a minute."""
        now = time.monotonic()
        if now - self._when.get(code, -_RARELY) >= _RARELY:
            self._when[code] = now
            logger.warning(message, *args)

    def forget(self, *codes: str) -> bool:
        """What went wrong is mended: say it again next time. True when it had been said."""
        known = self._said.intersection(codes)
        self._said.difference_update(known)
        return bool(known)
