"""`OutputGuard`: a project's and a route's checks of an answer, whole or as it streams.

It stands behind the translation: it reads and writes the client's wire. Checks that only flag read the whole answer
when it is there, and change nothing of it.
"""

from collections.abc import Hashable
from typing import Any

import msgspec

from core.errors import DomainError
from gateway.dialects.sse import DONE, Event, Events
from gateway.guards.channels import Piece, carrier, ending, pieces
from gateway.guards.checks import Blocked, flag_of, stopped
from gateway.guards.finding import LOOKS, Look
from gateway.guards.tail import Tail
from gateway.guards.texts import ANSWER, BLOCK, EVENT, changed, without_logprobs
from gateway.structs import Dialect, GuardRule

_WHOLE = {Dialect.RESPONSES: EVENT, Dialect.MESSAGES: BLOCK}
_encode = msgspec.json.encode
_decode = msgspec.json.decode


class GuardBlockedError(Exception):
    """A check stopped the answer; `blocked` says which, never what it found."""

    def __init__(self, blocked: Blocked) -> None:
        super().__init__(blocked.message)
        self.blocked = blocked


class OutputGuard:
    """The checks of one answer. `whole` for one that does not stream; `feed` and `end` for one that does, then `look`
    at the whole of it. `flags` tells what was found."""

    def __init__(self, rules: tuple[GuardRule, ...], dialect: Dialect) -> None:
        """Raises GuardBlockedError when a check cannot be used: nothing passes unseen."""
        self.flags: list[str] = []
        self._dialect = dialect
        self._looks: dict[GuardRule, Look] = {}
        for rule in rules:
            if rule.kind in LOOKS and rule.on in ("output", "both"):
                try:
                    self._looks[rule] = Look(rule)
                except DomainError:
                    what = "the check itself cannot be used"
                    raise GuardBlockedError(stopped(rule, what, is_answer=True)) from None
        self._changing = tuple(rule for rule in self._looks if rule.action != "flag")
        self._events = Events()
        self._tails: dict[Hashable, tuple[Tail, Piece, dict[str, Any], str]] = {}
        self._number: int | None = None

    @property
    def is_needed(self) -> bool:
        """Whether an answer has to be looked at, at all."""
        return bool(self._looks)

    @property
    def is_changing(self) -> bool:
        """Whether a stream has to pass through here."""
        return bool(self._changing)

    # --- whole answers

    def whole(self, body: bytes) -> bytes:
        """The answer as it may go out. Raises GuardBlockedError."""
        if not self._looks:
            return body
        document = _object(body)
        if document is None:
            return body
        made = document
        for rule, look in self._looks.items():
            look.has_found = False
            masked = changed(made, ANSWER, look)
            if masked is made and not look.has_found:
                continue
            self._note(rule)
            if rule.action == "mask":
                made = without_logprobs(masked)
        return body if made is document else _encode(made)

    def recorded(self, body: bytes) -> bytes:
        """A streamed answer as it is to be recorded: as the client got it; empty when a check stops it."""
        try:
            return self.whole(body)
        except GuardBlockedError:
            return b""

    def _note(self, rule: GuardRule) -> None:
        done = {"mask": "masked", "block": "blocked", "flag": "flagged"}[rule.action]
        flag = flag_of(rule, done)
        if flag not in self.flags:
            self.flags.append(flag)
        if rule.action == "block":
            found = self._looks[rule].names or "more than could be read in time"
            raise GuardBlockedError(stopped(rule, f"it holds {found}", is_answer=True))

    # --- streams

    def feed(self, data: bytes) -> bytes:
        """What goes out for these bytes of the client's stream. Raises GuardBlockedError."""
        if not self._changing:
            return data
        return b"".join(self._event(event) for event in self._events.feed(data))

    def end(self) -> bytes:
        """What was held back, when the stream has come to its end."""
        if not self._changing:
            return b""
        rest = b"".join(self._event(event) for event in self._events.end())
        return rest + self._flush(None)

    def _event(self, event: Event) -> bytes:
        document = event.document
        if document is None:
            # The end mark goes last.
            return self._flush(None) + event.raw if event.data == DONE else event.raw
        found = pieces(self._dialect, document)
        ended = ending(self._dialect, document)
        before = [] if ended == [] else self._closing(ended, {piece.key for piece in found})
        for piece in found:
            is_last = ended is None or piece.group in ended
            self._push(piece, document, event.name, is_last=is_last)
        made = document if found else self._whole_texts(document)
        if found or made is not document or before or self._number is not None:
            made = without_logprobs(made)
            return b"".join(before) + self._sent(event.name, made)
        self._numbered(made)
        return event.raw

    def _push(self, piece: Piece, document: dict[str, Any], name: str, *, is_last: bool) -> None:
        """The piece in its event becomes what may go out now."""
        kept = self._tails.get(piece.key)
        tail = kept[0] if kept else Tail(self._changing, self._looks, is_json=piece.is_json)
        out = tail.push(piece.holder[piece.field], is_last=is_last)
        self._judge(tail)
        piece.holder[piece.field] = out
        if is_last:
            self._tails.pop(piece.key, None)
        else:
            self._tails[piece.key] = (tail, piece, document, name)

    def _judge(self, tail: Tail) -> None:
        for rule in tail.found:
            self._note(rule)
        tail.found.clear()

    def _flush(self, groups: list[Hashable] | None) -> bytes:
        return b"".join(self._closing(groups, set()))

    def _closing(self, groups: list[Hashable] | None, but: set[Hashable]) -> list[bytes]:
        """Events with what was held back of texts that end now."""
        made = []
        for key, (tail, piece, document, name) in list(self._tails.items()):
            if key in but or (groups is not None and piece.group not in groups):
                continue
            del self._tails[key]
            out = tail.push("", is_last=True)
            self._judge(tail)
            if out:
                event = without_logprobs(carrier(self._dialect, document, piece, out))
                made.append(self._sent(name, event))
        return made

    def _whole_texts(self, document: dict[str, Any]) -> dict[str, Any]:
        """Events that say a text as a whole: Responses again, Messages results of the provider's own tools."""
        fields = _WHOLE.get(self._dialect)
        if fields is None:
            return document
        made = document
        response = document.get("response")
        for rule in self._changing:
            look = self._looks[rule]
            look.has_found = False
            made = changed(made, fields, look)
            if type(response) is dict:
                response = changed(response, ANSWER, look)
            if look.has_found:
                self._note(rule)
        if response is not document.get("response"):
            made = {**made, "response": response}
        return made

    def _sent(self, name: str, document: dict[str, Any]) -> bytes:
        document = self._numbered(document)
        head = b"event: %b\n" % name.encode() if name else b""
        return b"%bdata: %b\n\n" % (head, _encode(document))

    def _numbered(self, document: dict[str, Any]) -> dict[str, Any]:
        """Events of Responses are counted; what is sent in between counts, too."""
        if type(document.get("sequence_number")) is not int:
            return document
        number = document["sequence_number"] if self._number is None else self._number
        self._number = number + 1
        return {**document, "sequence_number": number}


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        found = _decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
    return found if type(found) is dict else None
