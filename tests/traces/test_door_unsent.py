"""Calls that never reached a provider are free, not unpriced; those that may have are unpriced."""

from typing import Any

import pytest
from django.test import Client

from costs.models import CostRecord
from projects.models import Project
from tests.traces.uploads import call_span, otlp, send_otlp

pytestmark = pytest.mark.django_db
REFUSED = "httpx.ConnectError: [Errno 111] Connection refused\n\nThe above exception was the direct cause\n"


def failed(error_type: str, message: str, stack: str = "") -> Any:
    """A call without usage that ended in an exception."""
    span = call_span(1)
    kept = [a for a in span.attributes if "usage" not in a.key]
    del span.attributes[:]
    span.attributes.extend(kept)
    span.status.code, span.status.message = 2, message
    entry = span.attributes.add()
    entry.key, entry.value.string_value = "error.type", error_type
    if stack:
        event = span.events.add(name="exception", time_unix_nano=span.start_time_unix_nano)
        for key, value in {"exception.type": error_type, "exception.stacktrace": stack}.items():
            entry = event.attributes.add()
            entry.key, entry.value.string_value = key, value
    return span


@pytest.mark.parametrize(
    ("error_type", "message", "stack", "status"),
    [
        ("openai.APIConnectionError", "Connection error.", REFUSED, "free"),
        ("ConnectionRefusedError", "[Errno 111] Connection refused", "", "free"),
        ("APIConnectionError", "getaddrinfo ENOTFOUND api.openai.com", "", "free"),
        ("httpx.ConnectTimeout", "timed out", "", "free"),
        ("openai.APIConnectionError", "Connection error.", "", "unpriced"),
        ("openai.APITimeoutError", "Request timed out.", "httpx.ReadTimeout", "unpriced"),
        ("openai.APIConnectionError", "x", REFUSED + "httpx.ReadError: again", "unpriced"),
    ],
)
def test_only_proof_makes_a_failed_call_free(
    client: Client,
    project: Project,
    key: str,
    error_type: str,
    message: str,
    stack: str,
    status: str,
) -> None:
    assert send_otlp(client, key, otlp(failed(error_type, message, stack))).status_code == 200
    assert CostRecord.objects.get(project=project).price_status == status
