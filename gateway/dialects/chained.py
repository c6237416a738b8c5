"""Two translators in a row (pure)."""

from typing import Any

from gateway.dialects.passing import Translator
from gateway.dialects.sse import Event, Events


class Chained(Translator):
    """The client's wire to a middle one (`outer`), the middle one to the provider's (`inner`)."""

    def __init__(self, outer: Translator, inner: Translator) -> None:
        super().__init__(outer.client, inner.provider)
        self._outer = outer
        self._inner = inner
        self._events = Events()

    def request(self, document: dict[str, Any], *, model: str) -> dict[str, Any]:
        middle = self._outer.request(document, model=model)
        made = self._inner.request(middle, model=model)
        self.dropped = [*self._outer.dropped, *self._inner.dropped]
        return made

    def answer(self, body: bytes) -> bytes:
        return self._outer.answer(self._inner.answer(body))

    def event(self, event: Event) -> bytes:
        return self._on(self._inner.event(event))

    def end(self) -> bytes:
        return self._on(self._inner.end()) + self._outer.end()

    def fail(self, *, status: int, code: str, message: str, request_id: str = "") -> bytes:
        return self._outer.fail(status=status, code=code, message=message, request_id=request_id)

    def _on(self, middle: bytes) -> bytes:
        return b"".join(self._outer.event(event) for event in self._events.feed(middle))
