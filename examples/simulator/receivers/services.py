"""How each service answers when nothing is wrong, and what it refuses."""

from typing import Any

from examples.simulator.http import Reply, Request
from examples.simulator.receivers import kept

_TEXT = {"content-type": "text/plain"}
_ACTIONS = ("trigger", "acknowledge", "resolve")
_SEVERITIES = ("critical", "error", "warning", "info")


def _text(status: int, body: str) -> Reply:
    return Reply(body.encode(), status, dict(_TEXT))


def slack(request: Request) -> Reply:
    """200 and `ok`. The webhook `…/services/T0/B0/gone` was removed."""
    if request.path.endswith("/gone"):
        return _text(404, "no_service")
    blocks = request.body.get("blocks", [])
    if not request.body.get("text") and not blocks:
        return _text(400, "no_text")
    if not isinstance(blocks, list) or len(blocks) > 50 or not all(map(_is_block, blocks)):
        return _text(400, "invalid_blocks")
    return _text(200, "ok")


def _is_block(block: Any) -> bool:
    """Slack's limits, as far as they are often met."""
    if not isinstance(block, dict):
        return False
    text = (block.get("text") or {}).get("text", "")
    limit = {"header": 150, "section": 3_000}.get(str(block.get("type")), 3_000)
    fields = block.get("fields", [])
    return (
        len(text) <= limit
        and len(fields) <= 10
        and all(0 < len(one.get("text", "")) <= 2_000 for one in fields)
        and len(block.get("elements", [])) <= 25
    )


def pagerduty(request: Request) -> Reply:
    """202, and incidents by their dedup key. A key of zeros belongs to nobody."""
    body = request.body
    errors = []
    key, action = body.get("routing_key"), body.get("event_action")
    if not isinstance(key, str) or len(key) != 32:
        errors.append("Length of 'routing_key' is incorrect (should be 32 characters)")
    elif not key.strip("0"):
        errors.append("Invalid routing key")
    if action not in _ACTIONS:
        errors.append("'event_action' is invalid")
    payload = body.get("payload") or {}
    if action == "trigger":
        for name in ("summary", "source", "severity"):
            if not payload.get(name):
                errors.append(f"'payload.{name}' is missing or blank")
        if payload.get("severity") not in _SEVERITIES:
            errors.append("'payload.severity' is invalid")
    elif not body.get("dedup_key"):
        errors.append("'dedup_key' is missing or blank")
    if errors:
        return Reply(
            {"status": "invalid event", "message": "Event object is invalid", "errors": errors}, 400
        )
    dedup_key = str(body.get("dedup_key") or f"made-{len(kept.incidents)}")
    _incident(dedup_key, str(action), payload)
    return Reply({"status": "success", "message": "Event processed", "dedup_key": dedup_key}, 202)


def _incident(dedup_key: str, action: str, payload: dict[str, Any]) -> None:
    """As PagerDuty does: a key opens one incident; acknowledging or resolving nothing changes nothing."""
    found = kept.incidents.get(dedup_key)
    is_open = found is not None and found["state"] != "resolved"
    if action == "trigger":
        fresh: dict[str, Any] = {"triggers": 0, "state": "triggered"}
        before = found if found is not None and is_open else fresh
        kept.incidents[dedup_key] = {
            **before,
            "severity": payload["severity"],
            "summary": payload["summary"],
            "triggers": before["triggers"] + 1,
        }
    elif found is not None and is_open:
        found["state"] = "acknowledged" if action == "acknowledge" else "resolved"


def teams(request: Request) -> Reply:
    """A Power Automate workflow takes adaptive cards with 202; a wrong signature with 401."""
    if "sig" not in dict(request.query):
        return Reply({"error": {"code": "AuthorizationFailed"}}, 401)
    if request.body.get("type") != "message" or not request.body.get("attachments"):
        return Reply({"error": {"code": "InvalidRequestContent"}}, 400)
    return Reply(b"", 202)


def discord(request: Request) -> Reply:
    """204; the webhook `…/0/…` was removed."""
    if "/webhooks/0/" in request.path:
        return Reply({"message": "Unknown Webhook", "code": 10015}, 404)
    if len(str(request.body.get("content", ""))) > 2_000:
        return Reply({"content": ["Must be 2000 or fewer in length."]}, 400)
    if not request.body.get("content") and not request.body.get("embeds"):
        return Reply({"message": "Cannot send an empty message", "code": 50006}, 400)
    return Reply(b"", 204)


def webhook(_request: Request) -> Reply:
    """Anybody's server."""
    return Reply({"received": True})
