"""What ingestion stored of what was said, wherever it lies."""

from typing import Any

from core.crypto import Cipher, data_cipher
from projects.models import Project
from traces.contents import split_row
from traces.models import SpanPayload
from traces.payloads import read_payload


def said_in(
    project: Project, *, cipher: Cipher | None = None
) -> dict[tuple[str, str], dict[str, Any]]:
    """Every step's content by trace and step."""
    opener = cipher or data_cipher(project.organization.data_key)
    return {
        (row.trace_id, span_id): read_payload(raw)
        for row in SpanPayload.objects.filter(project=project)
        for span_id, raw in split_row(opener, row)
    }
