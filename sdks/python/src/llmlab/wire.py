"""A step as bytes for the wire, and the head of the item it travels in. Background thread only."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from llmlab.config import Settings, logger
from llmlab.masks import masker
from llmlab.snapshot import text_of
from llmlab.step import Step, TraceState
from llmlab.values import Masker, dumps, finished

# What somebody said or was told; the rest of a step are facts about the call.
CONTENT = ("input", "output", "tools")
MASKED = frozenset((*CONTENT, "metadata", "parameters"))
_OWN = frozenset(("name", "type", "status", "error", "attributes"))


class Encoder:
    """Turns steps into JSON as the settings want it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.mask: Masker | None = masker(settings.mask)

    def step(self, step: Step) -> dict[str, Any]:
        """The step as an object of the wire, running or ended; `resolve` it first."""
        document: dict[str, Any] = {"id": step.id}
        if step.parent_id:
            document["parent_id"] = step.parent_id
        document["type"] = step.type
        document["name"] = step.name
        document["status"] = step.status or "running"
        document["started_at"] = moment(step.started_ns)
        if step.ended_ns:
            document["ended_at"] = moment(max(step.ended_ns, step.started_ns))
        keeps_content = step.capture and self.settings.capture_content
        for name, value in list(step.fields.items()):
            if value is None or (name in CONTENT and not keeps_content):
                continue
            # Ids, models and the provider's own counts are facts, and no mask may bend them.
            document[name] = finished(value, self.mask if name in MASKED else None)
        if step.error is not None:
            document["error"] = self._error(step.error, keeps_content)
        if step.attributes:
            document["attributes"] = finished(dict(step.attributes), self.mask)
        return document

    def head(self, trace: TraceState) -> bytes:
        """The item without its steps and its closing brace; made again when the trace changed."""
        version = (trace.version, trace.root_encoded)
        if trace.head_version != version:
            trace.head = dumps(self.head_fields(trace))[:-1]
            trace.head_version = version
        return trace.head

    def head_fields(self, trace: TraceState) -> dict[str, Any]:
        """What the item says of the trace as a whole, as it stands now."""
        root = trace.root
        item: dict[str, Any] = {"trace_id": trace.trace_id, "root_id": root.id}
        if trace.parent_id:
            item["parent_id"] = trace.parent_id
        item["name"] = trace.name
        item["status"] = root.status if trace.root_encoded else "running"
        item["started_at"] = moment(root.started_ns)
        if trace.root_encoded:
            item["ended_at"] = moment(max(root.ended_ns, root.started_ns))
        facts = {
            "user": trace.user,
            "session": trace.session,
            "tags": list(trace.tags),
            "environment": self.settings.environment,
            "release": self.settings.release,
            "metadata": finished(trace.metadata, self.mask),
        }
        item.update({name: value for name, value in facts.items() if value})
        return item

    def resolve(self, step: Step) -> None:
        """Let `late` (of an ended step) or `early` (of a running one) say what it knows, once."""
        if step.status == "unknown":
            step.status = "ok"  # unless `late` knows better
        source = step.late if step.ended_ns else step.early
        if source is None:
            return
        step.early = step.late = None
        try:
            found = source()
            if not step.ended_ns:  # the program may have said more meanwhile, and knows better
                found = {name: found[name] for name in found if name not in step.fields}
            self._apply(step, found)
        except Exception:
            logger.warning("LLMLab: a %s step could not be read.", step.name, exc_info=True)

    def _apply(self, step: Step, found: Mapping[str, Any]) -> None:
        step.name = text_of(found.get("name") or step.name)
        step.type = text_of(found.get("type") or step.type)
        error = found.get("error")
        if error:
            step.error = {
                name: text_of(error[name]) for name in ("type", "message") if error.get(name)
            }
        if step.ended_ns and (error or found.get("status") in ("ok", "error")):
            step.status = "error" if error else str(found["status"])
        fields = {name: value for name, value in found.items() if name not in _OWN}
        step.update(attributes=found.get("attributes"), **fields)

    def _error(self, error: dict[str, str], keeps_content: bool) -> dict[str, str]:
        """Providers and programs quote what was said in their messages, so it counts as content."""
        kept = {"type": error.get("type") or "error"}
        message = error.get("message")
        if message and keeps_content:
            kept["message"] = finished(message, self.mask)
        return kept


def moment(ns: int) -> str:
    """RFC 3339 in UTC with microseconds."""
    seconds, rest = divmod(ns, 1_000_000_000)
    try:
        text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    except (OverflowError, ValueError, OSError):
        return "1970-01-01T00:00:00.000000Z"
    return f"{text}.{rest // 1_000:06d}Z"
