"""Which tool call a piece of a chat stream belongs to (pure)."""

from typing import Any, NamedTuple

from gateway.dialects.tool_ids import packed_id


class CallPlaces:
    """Numbers the calls of one choice from 0 in the order they begin.

    OpenAI tells them apart by `index`. Some servers leave it out and send each call whole, and Gemini has sent all of
    them with index 0: there another id begins another call.
    """

    __slots__ = ("_count", "_known")

    def __init__(self) -> None:
        # index -> (place, id)
        self._known: dict[int, tuple[int, str]] = {}
        self._count = 0

    def place(self, call: dict[str, Any]) -> int:
        """The call's number. Raises TypeError for an index that is none."""
        index, name = call.get("index"), call.get("id") or ""
        if index is None:
            if not name and self._count and not (call.get("function") or {}).get("name"):
                return self._count - 1
            self._count += 1
            return self._count - 1
        if type(index) is not int:
            raise TypeError("an index is a whole number")
        known = self._known.get(index)
        if known is not None and (not name or name == known[1] or not known[1]):
            if name:
                self._known[index] = (known[0], name)
            return known[0]
        self._known[index] = (self._count, name)
        self._count += 1
        return self._count - 1


class Piece(NamedTuple):
    """A piece of a call: its number, its id and name if it begins with this, and what came of its arguments."""

    place: int
    begins: tuple[str, str] | None
    arguments: str


class CallPieces:
    """Reads the pieces of calls in one choice. A call begins when its name is known; until then its pieces wait."""

    __slots__ = ("_begun", "_places", "_waiting")

    def __init__(self) -> None:
        self._places = CallPlaces()
        self._waiting: dict[int, list[str]] = {}  # id, arguments so far
        self._begun: set[int] = set()

    def __bool__(self) -> bool:
        """Whether any call began."""
        return bool(self._begun)

    def take(self, call: dict[str, Any]) -> Piece | None:
        """The piece, or None while its call waits. Raises TypeError for what is no call."""
        place = self._places.place(call)
        function = call.get("function") or {}
        text = function.get("arguments") or ""
        if type(text) is not str:
            raise TypeError("arguments are text")
        if place in self._begun:
            return Piece(place, None, text)
        waiting = self._waiting.setdefault(place, ["", ""])
        waiting[0] = packed_id(call) or waiting[0]
        waiting[1] += text
        name = function.get("name")
        if not name:
            return None
        self._begun.add(place)
        return Piece(place, (waiting[0] or f"call_{place}", str(name)), waiting[1])
