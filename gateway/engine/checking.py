"""The checks of one call's answer, as the run needs them: on its way out, asked for again, and in the record."""

from typing import Any

import msgspec

from costs.usage import Usage
from gateway.guards.checks import flag_of, stopped
from gateway.guards.output import GuardBlockedError, OutputGuard
from gateway.guards.schemas import asked_again, asked_for, wrong_with
from gateway.structs import Call, GuardRule

INVALID_ANSWER = "invalid_answer"
_COUNTS = (
    "input_tokens", "output_tokens", "cache_read_input_tokens", "cache_write_input_tokens",
    "cache_write_5m_input_tokens", "cache_write_1h_input_tokens", "input_audio_tokens", "input_image_tokens",
    "output_audio_tokens", "output_image_tokens", "reasoning_output_tokens", "web_searches", "stated_total_tokens",
)  # fmt: skip


class AnswerChecks:
    """Made once per call that has checks. Raises GuardBlockedError when one of them cannot be used."""

    def __init__(self, call: Call, document: dict[str, Any]) -> None:
        self._call = call
        self._guard = OutputGuard(call.guards, call.dialect)
        self._schema_rule: GuardRule | None = None
        self._schema = asked_for(call.dialect, document)
        if self._schema is not None:
            rules = [rule for rule in call.guards if rule.kind == "json_schema"]
            order = ("block", "mask", "flag")
            self._schema_rule = min(rules, key=lambda one: order.index(one.action), default=None)
        self._has_asked_again = False
        self._flags: list[str] = []

    @property
    def flags(self) -> tuple[str, ...]:
        return (*self._guard.flags, *self._flags)

    # --- JSON

    def again(self, document: dict[str, Any], answer: bytes) -> dict[str, Any] | None:
        """What to ask when the answer is not the JSON that was asked for: once. Raises GuardBlockedError when it still
        is not and the check says so."""
        rule, schema = self._schema_rule, self._schema
        if rule is None or schema is None:
            return None
        wrong = wrong_with(self._call.dialect, schema, answer)
        if not wrong:
            if self._has_asked_again:
                self._flags.append(flag_of(rule, "repaired"))
            return None
        if rule.action != "flag" and not self._has_asked_again:
            self._has_asked_again = True
            return asked_again(self._call.dialect, document, answer, wrong)
        self._invalid(rule)
        return None

    def not_again(self) -> None:
        """Asking again failed: the first answer counts. Raises GuardBlockedError."""
        if self._schema_rule is not None:
            self._invalid(self._schema_rule)

    def _invalid(self, rule: GuardRule) -> None:
        if rule.action != "block":
            self._flags.append(flag_of(rule, "flagged"))
            return
        self._flags.append(flag_of(rule, "blocked"))
        what = "it is not the JSON that was asked for"
        raise GuardBlockedError(stopped(rule, what, is_answer=True))

    # --- texts

    def whole(self, body: bytes) -> bytes:
        """A whole answer as it may go out. Raises GuardBlockedError."""
        return self._guard.whole(body)

    def feed(self, data: bytes) -> bytes:
        """A piece of a stream as it may go out. Raises GuardBlockedError."""
        return self._guard.feed(data)

    def end(self) -> bytes:
        """What is left of the stream. Raises GuardBlockedError."""
        return self._guard.end()

    def recorded(self, body: bytes) -> bytes:
        """The answer for the record: as the client got it. A stream's JSON is judged here, when it is whole."""
        rule, schema = self._schema_rule, self._schema
        is_unjudged = self._call.is_stream and rule is not None and schema is not None
        if is_unjudged and wrong_with(self._call.dialect, schema or {}, body):
            self._flags.append("guard:json_schema:flagged")
        return self._guard.recorded(body)


def summed(one: Usage | None, other: Usage | None) -> Usage | None:
    """The usage of two tries that both were answered."""
    if one is None or other is None:
        return one or other
    counts = {
        name: (getattr(one, name) or 0) + (getattr(other, name) or 0)
        for name in _COUNTS
        if getattr(one, name) is not None or getattr(other, name) is not None
    }
    is_estimated = one.is_estimated or other.is_estimated
    return msgspec.structs.replace(other, **counts, is_estimated=is_estimated)
