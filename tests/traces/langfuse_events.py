"""Langfuse's batches for tests."""

import datetime as dt
import itertools
import json
from base64 import b64encode
from typing import Any

from django.http import HttpResponse
from django.test import Client

from tests.traces.uploads import JSON, START

_numbers = itertools.count(1)
PATH = "/api/public/ingestion"


def at(seconds: float) -> str:
    """A moment of the test's run, as the SDK writes it."""
    return (START + dt.timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def event(kind: str, seconds: float = 0, **body: Any) -> dict[str, Any]:
    """One event, sent at `seconds` after the start."""
    return {"id": f"event-{next(_numbers)}", "type": kind, "timestamp": at(seconds), "body": body}


def created(item_id: str = "g1", trace_id: str = "t1", **body: Any) -> dict[str, Any]:
    """A generation that begins: gpt-5-mini."""
    given = {"name": "answer", "startTime": at(1), "model": "gpt-5-mini", "input": "How much?"}
    return event("generation-create", 1, id=item_id, traceId=trace_id, **{**given, **body})


def ended(item_id: str = "g1", trace_id: str = "t1", **body: Any) -> dict[str, Any]:
    """It ends a second later: 1,000 tokens in and 100 out cost $0.00045."""
    usage = {"input": 1000, "output": 100, "total": 1100, "unit": "TOKENS"}
    given = {"endTime": at(2), "output": "So much.", "usage": usage}
    return event("generation-update", 2, id=item_id, traceId=trace_id, **{**given, **body})


def basic(secret: str, public: str = "pk-lf-any") -> str:
    return "Basic " + b64encode(f"{public}:{secret}".encode()).decode()


def send(client: Client, raw: str | None, *events: Any, **headers: Any) -> HttpResponse:
    """POST the events as one batch."""
    return send_body(client, raw, json.dumps({"batch": list(events)}).encode(), **headers)


def send_body(client: Client, raw: str | None, body: bytes, **headers: Any) -> HttpResponse:
    if raw is not None:
        headers.setdefault("Authorization", basic(raw))
    content_type = headers.pop("content_type", JSON)
    headers["Content-Type"] = content_type
    return client.generic("POST", PATH, body, content_type, headers=headers)  # type: ignore[return-value]


def told(response: HttpResponse) -> tuple[list[str], list[tuple[str, int, str]]]:
    """Ids that succeeded, and (id, status, error) of the others."""
    assert response.status_code == 207, response.content
    answer = json.loads(response.content)
    assert all(one["status"] == 201 for one in answer["successes"])
    return [one["id"] for one in answer["successes"]], [
        (one["id"], one["status"], one["error"]) for one in answer["errors"]
    ]
