"""The pane's gateway tab: where a call went and why, where its time went, and what was tried."""

from typing import Any

from core import formats
from traces.lines import percent
from traces.phases import PREFIX, phases_of

MOST_TRIES = 50
_STATES = {
    "done": "Answered",
    "cached": "Answered from the cache",
    "failed": "Failed",
    "cancelled": "Cancelled",
    "expired": "Too late",
    "lost": "Its worker died",
}
_CACHE = {
    "exact": "Kept answer to the same request",
    "semantic": "Kept answer to a question that means the same",
    "miss": "Looked, and found none",
    "bypass": "Not asked",
}
_PRIORITIES = ("High", "Normal", "Low")


def gateway_context(content: dict[str, Any]) -> dict[str, Any]:
    """What the tab shows, from the step's content."""
    attributes = content.get("attributes")
    attributes = attributes if isinstance(attributes, dict) else {}
    own = {
        name.removeprefix(PREFIX): value
        for name, value in attributes.items()
        if name.startswith(PREFIX)
    }
    phases = phases_of(attributes)
    total = sum(phase.length_ms for phase in phases)
    return {
        "facts": _facts(own),
        "phases": [
            {
                "css": f"ph {phase.name}",
                "words": phase.words,
                "ms": phase.length_ms,
                "x": percent(phase.from_ms / total * 100),
                "width": percent(max(phase.length_ms / total * 100, 0.6)),
            }
            for phase in phases
        ],
        "total_ms": total,
        "tries": _tries(content.get("events")),
    }


def _facts(own: dict[str, Any]) -> list[tuple[str, str]]:
    """(label, value) of what was decided; only what there is."""
    skipped = own.get("skipped")
    priority = own.get("priority")
    rows = [
        ("State", _STATES.get(str(own.get("state")), "")),
        ("Asked for", own.get("asked_model")),
        ("Route", own.get("route") or "None: straight to the model"),
        ("Because", own.get("because")),
        ("This target because", own.get("target_because")),
        ("Passed over", "; ".join(map(str, skipped)) if isinstance(skipped, list) else ""),
        ("Canary", "Yes" if own.get("is_canary") else ""),
        ("Cache", _CACHE.get(str(own.get("cache")), "")),
        ("Similarity", _number(own.get("similarity"), "{:.4f}")),
        ("Saved", f"${own['saved_usd']}" if own.get("saved_usd") else ""),
        ("Priority", _PRIORITIES[priority] if priority in (0, 1, 2) else ""),
        ("Fallbacks", own.get("fallbacks")),
        ("Client left after", _duration(own.get("client_left_ms"))),
        *_saved_tokens(own),
        ("Request", own.get("request_id")),
    ]
    return [(label, str(value)) for label, value in rows if value]


def _saved_tokens(own: dict[str, Any]) -> list[tuple[str, Any]]:
    start = "compaction."
    return [
        (f"Compaction, {name.removeprefix(start).replace('_', ' ')}", value)
        for name, value in own.items()
        if name.startswith(start)
    ]


def _tries(events: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for event in events if isinstance(events, list) else ():
        if not isinstance(event, dict) or event.get("name") != f"{PREFIX}attempt":
            continue
        facts = event.get("attributes")
        facts = facts if isinstance(facts, dict) else {}
        found.append(
            {
                "number": len(found) + 1,
                "target": f"{facts.get('gen_ai.provider.name', '')} / {facts.get('gen_ai.request.model', '')}",
                "at": event.get("offset_ms"),
                "ms": facts.get("duration_ms"),
                "status": facts.get("http.response.status_code", ""),
                "error": facts.get("error.type", ""),
                "message": facts.get("message", ""),
                "is_hedge": bool(facts.get("is_hedge")),
                "request_id": facts.get("request_id", ""),
            }
        )
    return found[:MOST_TRIES]


def _number(value: Any, form: str) -> str:
    return form.format(value) if isinstance(value, (int, float)) else ""


def _duration(value: Any) -> str:
    return formats.duration(value) if isinstance(value, (int, float)) and value > 0 else ""
