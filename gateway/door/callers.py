"""Who calls, for whom and as part of what: from the key, the headers and the body (pure).

Headers before the body. docs/gateway.md has the table.
"""

import re
from typing import Any

import msgspec

from gateway.dialects.facts import RequestError, RequestFacts
from gateway.door.headers import HeaderError, Said
from gateway.structs import Caller
from projects.authentication import KeyAuth

MAX_TEXT = 200
MAX_TAGS = 50
MAX_METADATA = 100
MAX_METADATA_VALUE = 2_000

_PARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?")
_TRACE = re.compile(r"[0-9A-Za-z_.:-]{1,128}")
_NO_TRACE, _NO_SPAN = "0" * 32, "0" * 16
# What Portkey's metadata calls them.
_PORTKEY = {"_user": "user", "_session": "session", "_environment": "environment"}
_TEXTS = ("user", "session", "agent", "feature", "environment", "prompt_version")


def caller_of(auth: KeyAuth, said: Said, facts: RequestFacts) -> Caller:
    """Raises HeaderError and RequestError for what is too long or no JSON."""
    values = said.values
    metadata = _metadata(said) if "metadata" in values or said.properties else {}
    known = {field: values.get(field, "") for field in _TEXTS}
    if "metadata" in values:
        for name, field in _PORTKEY.items():
            known[field] = known[field] or metadata.pop(name, "")
    for field, value in known.items():
        if len(value) > MAX_TEXT:
            name = said.names.get(field, said.names.get("metadata", field))
            raise HeaderError(name, f"{field}: at most {MAX_TEXT} characters.")
    trace_id, parent = _trace(said)
    return Caller(
        organization_id=auth.organization_id.hex,
        project_id=auth.project_id.hex,
        key_id=auth.key_id.hex,
        key_label=auth.key_label,
        user=known["user"] or _short("user", facts.user),
        session=known["session"] or _short("session", facts.session),
        tags=_tags(said, facts),
        agent=known["agent"],
        feature=known["feature"],
        environment=known["environment"],
        prompt_version=known["prompt_version"],
        metadata={**facts.metadata, **metadata} if metadata else facts.metadata,
        trace_id=trace_id,
        parent_span_id=parent,
    )


def _short(field: str, value: str) -> str:
    if len(value) > MAX_TEXT:
        raise RequestError(field, f"At most {MAX_TEXT} characters.")
    return value


def _tags(said: Said, facts: RequestFacts) -> tuple[str, ...]:
    """The headers' and the body's, each once."""
    text = said.values.get("tags", "")
    if not text and not facts.tags:
        return ()
    given = [tag.strip() for tag in text.split(",")] if text else []
    found = tuple(dict.fromkeys(tag for tag in (*given, *facts.tags) if tag))
    if len(found) > MAX_TAGS or any(len(tag) > MAX_TEXT for tag in found):
        rule = f"At most {MAX_TAGS} tags of {MAX_TEXT} characters."
        if "tags" in said.names:
            raise HeaderError(said.names["tags"], rule)
        raise RequestError("tags", rule)
    return found


def _metadata(said: Said) -> dict[str, str]:
    found = dict(said.properties)
    text = said.values.get("metadata", "")
    if text:
        name = said.names["metadata"]
        try:
            document: Any = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError):
            raise HeaderError(name, "It must be a JSON object.") from None
        if type(document) is not dict:
            raise HeaderError(name, "It must be a JSON object.")
        for key, value in document.items():
            found[key] = value if type(value) is str else msgspec.json.encode(value).decode()
    if len(found) > MAX_METADATA or any(len(one) > MAX_METADATA_VALUE for one in found.values()):
        rule = f"At most {MAX_METADATA} values of {MAX_METADATA_VALUE} characters."
        raise HeaderError(said.names.get("metadata", "helicone-property"), rule)
    return found


def _trace(said: Said) -> tuple[str, str]:
    """Trace and parent span. A `traceparent` that is none is ignored, as W3C asks."""
    parent = said.values.get("traceparent")
    if parent:
        match = _PARENT.fullmatch(parent.lower())
        if match and match[1] != "ff" and match[2] != _NO_TRACE and match[3] != _NO_SPAN:
            return match[2], match[3]
    trace = said.values.get("trace")
    if not trace:
        return "", ""
    if not _TRACE.fullmatch(trace):
        raise HeaderError(said.names["trace"], "1 to 128 letters, digits, or any of . _ : -")
    return trace.replace("-", "").lower() if _is_uuid(trace) else trace, ""


def _is_uuid(text: str) -> bool:
    return re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", text) is not None
