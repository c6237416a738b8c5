"""What of a step may be stored, decided by its project before anything is: off, masked, plain or encrypted.

| Mode | Texts | Stored as |
|---|---|---|
| off | none: see `_without_content` | – |
| masked | rules applied everywhere (all built-in rules when none were chosen) | compressed |
| plain | as sent | compressed |
| encrypted | as sent; rules applied first when any were chosen | compressed and sealed |

Every door applies this before anything is written; nothing after it sees the original. Ids (trace, step, user, session,
response) always stay: deletion by person and joining traces need them.
"""

import logging
import re
from functools import lru_cache
from typing import Any

import msgspec

from core import masking
from core.crypto import Cipher
from costs.usage import ChargeableCall
from projects.models import ContentCapture
from traces.ingest.limits import ERROR_LENGTH
from traces.ingest.sanitize import is_identifier, short_text
from traces.ingest.span import NormalSpan

logger = logging.getLogger(__name__)


class Capture(msgspec.Struct, frozen=True):
    """A project's choice, ready for use."""

    mode: str = ContentCapture.ENCRYPTED.value
    rules: masking.Rules = ()

    def cipher(self, own: Cipher) -> Cipher | None:
        """What seals texts: the organisation's cipher, or nothing."""
        is_open = self.mode in (ContentCapture.MASKED.value, ContentCapture.PLAIN.value)
        return None if is_open else own

    def apply(self, spans: list[NormalSpan]) -> list[NormalSpan]:
        """The spans as they may be stored; the ones given stay as they are."""
        if self.mode == ContentCapture.OFF.value:
            return [_without_content(span) for span in spans]
        if not self.rules or self.mode == ContentCapture.PLAIN.value:
            return spans
        masker = masking.Masker(self.rules)
        return [_masked(span, masker) for span in spans]

    def apply_to_calls(self, calls: list[ChargeableCall]) -> None:
        """The same for bare cost records, which carry labels only; changes them in place."""
        if self.rules and self.mode in (
            ContentCapture.MASKED.value,
            ContentCapture.ENCRYPTED.value,
        ):
            masker = masking.Masker(self.rules)
            for call in calls:
                call.agent = short_text(masker.text(call.agent))
                call.feature = short_text(masker.text(call.feature))
                call.tags = tuple(dict.fromkeys(short_text(masker.text(tag)) for tag in call.tags))

    def apply_to_score(self, reason: str, metadata: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Why a program scored as it did, as it may be stored: a judge quotes what it judged."""
        if self.mode == ContentCapture.OFF.value:
            return "", _labels(metadata)
        if not self.rules or self.mode == ContentCapture.PLAIN.value:
            return reason, metadata
        masker = masking.Masker(self.rules)
        return masker.text(reason), masker.value(metadata)


def capture_of(mode: str, rules: Any) -> Capture:
    """From a project's columns. Rules that no longer compile never mean "unmasked": the built-in ones take over."""
    return _capture(mode, msgspec.json.encode(rules or {}))


@lru_cache(maxsize=512)
def _capture(mode: str, encoded: bytes) -> Capture:
    try:
        rules = masking.rules_of(msgspec.json.decode(encoded))
    except masking.MaskingError:
        logger.exception("traces.ingest.masking_unusable")
        rules = masking.all_builtin()
    if mode == ContentCapture.MASKED.value and not rules:
        rules = masking.all_builtin()
    return Capture(mode=mode, rules=rules)


def _masked(span: NormalSpan, masker: masking.Masker) -> NormalSpan:
    """Every text but the ids. A replacement may be longer than what it replaces: columns keep their limits."""

    def short(text: str) -> str:
        return short_text(masker.text(text)) if text else text

    return msgspec.structs.replace(
        span,
        name=short(span.name),
        trace_name=short(span.trace_name),
        agent=short(span.agent),
        feature=short(span.feature),
        tags=tuple(dict.fromkeys(short(tag) for tag in span.tags)),
        finish_reason=short(span.finish_reason)[:_REASON_LENGTH],
        error_message=masker.text(span.error_message)[:ERROR_LENGTH],
        metadata=masker.value(span.metadata),
        input=masker.value(span.input),
        output=masker.value(span.output),
        tools=masker.value(span.tools),
        parameters=masker.value(span.parameters),
        attributes=masker.value(span.attributes),
        events=masker.value(span.events),
    )


def _without_content(span: NormalSpan) -> NormalSpan:
    """Facts only. What goes: input, output, tools, error messages (they quote what was sent), every event attribute but
    an exception's type, metadata and parameters longer than a label, and all raw attributes that are no known fact.

    What stays: ids, names, tags, model, provider, tokens, cost, times, status, error type, numbers and yes/no values.
    """
    span = _without_filled_in_name(span)
    return msgspec.structs.replace(
        span,
        finish_reason=span.finish_reason if _LABEL.fullmatch(span.finish_reason) else "",
        error_message="",
        metadata=_labels(span.metadata),
        input=None,
        output=None,
        tools=None,
        parameters={
            name: value
            for name, value in _labels(span.parameters).items()
            if type(value) is not str or name in _PARAMETERS
        },
        attributes=known_facts(span.attributes),
        events=[
            {**event, "attributes": known_facts(event.get("attributes") or {})}
            for event in span.events
        ],
    )


def _without_filled_in_name(span: NormalSpan) -> NormalSpan:
    """Logfire names a span by a message with values in it; without content it is called by the message's template."""
    message = span.attributes.get("logfire.msg")
    if type(message) is not str or short_text(message) != span.name:
        return span
    name = short_text(span.attributes.get("logfire.msg_template")) or span.operation or span.kind
    return msgspec.structs.replace(span, name=name, trace_name=name if span.trace_name else "")


# Texts among a call's parameters that name a setting.
_PARAMETERS = frozenset(
    {
        "model",
        "tool_choice",
        "service_tier",
        "reasoning_effort",
        "effort",
        "encoding_format",
        "verbosity",
        "modality",
    }
)
_REASON_LENGTH = 40  # of the column
_FACT_LENGTH = 200
_FACT_WORDS = 4
_LABEL = re.compile(r"\S{1,64}")
# Raw attributes whose texts say how a call was made, never what was said in it. Everything else that is text goes.
_FACT = re.compile(
    r"(gen_ai|llm)\.(request\.(model|service_tier|encoding_formats)|response\.(model|id|finish_reasons)|operation\.name"
    r"|provider\.name|system|provider|model_name|usage\..*|token_count\..*|agent\.(id|name|version)|conversation\.id"
    r"|tool\.(name|type|call\.id)|output\.type|cost\..*|finish_reason|is_streaming|request\.type)"
    r"|(openai|anthropic|azure|aws|gcp)\.(api\.type|request\.service_tier|response\.(service_tier|system_fingerprint))"
    r"|(service|telemetry|deployment|host|os|container\.(id|name|image)|k8s|cloud|server|network|code\.function|thread)(\.[a-z_.]+)?"
    r"|process\.(pid|runtime\..*)|otel\.(scope\.(name|version)|library\.(name|version)|status_code|kind)|http\.(request\.method|response\.status_code|status_code|method|route)"
    r"|(openinference|traceloop|logfire|mlflow|langfuse)\.(span\.kind|span_type|spanType|observation\.type|workflow\.name"
    r"|environment|release|version)|ai\.(operationId|model\.(id|provider)|response\.(model|id|finishReason)|usage\..*)"
    r"|error\.type|exception\.type|(session|user|enduser)\.id|llmlab\.(tags|feature|prompt\.version|cache\.hit)"
    r"|llmlab\.gateway\.(request_id|state|dialect|asked_model|route|connection|cache|cached_id|saved_usd)|embedding\.model_name"
)


def known_facts(attributes: dict[str, Any]) -> dict[str, Any]:
    """Numbers and yes/no values, and the texts of known facts."""
    kept: dict[str, Any] = {}
    for name, value in attributes.items():
        kind = type(value)
        if name == "resource" and kind is dict:
            kept[name] = known_facts(value)
        elif name == "links" and kind is list:
            kept[name] = [_ids(link) for link in value if type(link) is dict]
        elif kind in (int, float, bool) or (_FACT.fullmatch(name) and _is_short(value)):
            kept[name] = value
    return kept


def _is_short(value: Any) -> bool:
    """A fact's text is a name or a number in words, or a few of them; a sentence under its name is none."""
    if type(value) is list:
        return len(value) <= 20 and all(_is_short(item) for item in value)
    if type(value) is str:
        return len(value) <= _FACT_LENGTH and value.count(" ") < _FACT_WORDS
    return value is None or type(value) in (int, float, bool)


def _ids(link: dict[str, Any]) -> dict[str, Any]:
    return {
        name: link[name] for name in ("trace_id", "span_id") if is_identifier(str(link.get(name)))
    }


def _labels(values: dict[str, Any]) -> dict[str, Any]:
    """Numbers, yes/no values and single words: what people filter by, not what was said."""
    return {
        name: value
        for name, value in values.items()
        if type(value) in (int, float, bool) or (type(value) is str and _LABEL.fullmatch(value))
    }
