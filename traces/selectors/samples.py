"""The last spans of a project as they came and as they were understood (traces.ingest.samples)."""

import datetime as dt
import logging
from dataclasses import dataclass
from typing import Any

from django.db.models import Q

from core import crypto
from core.crypto import DecryptionError
from projects.models import Project
from traces.ingest.samples import sample_context
from traces.models import IngestSample
from traces.payloads import open_payload

logger = logging.getLogger(__name__)
PAGE = 20


@dataclass(frozen=True, slots=True)
class SampleFilters:
    """What the page shows; `before` is the place of the last one shown."""

    dialect: str = ""
    scope: str = ""
    has_ignored: bool = False
    before: tuple[dt.datetime, int] | None = None


@dataclass(frozen=True, slots=True)
class Understood:
    """One sample, opened."""

    row: IngestSample
    data: dict[str, Any]


def sample_page(project: Project, filters: SampleFilters) -> tuple[list[Understood], bool]:
    """One page, newest first, and whether there are more. One query."""
    rows = IngestSample.objects.filter(project=project)
    if filters.dialect:
        rows = rows.filter(dialect=filters.dialect)
    if filters.scope:
        rows = rows.filter(scope=filters.scope)
    if filters.has_ignored:
        rows = rows.filter(has_ignored=True)
    if filters.before:
        at, position = filters.before
        rows = rows.filter(Q(sampled_at__lt=at) | Q(sampled_at=at, position__lt=position))
    found = list(rows.order_by("-sampled_at", "-position")[: PAGE + 1])
    cipher = crypto.data_cipher(bytes(project.organization.data_key))
    opened = []
    for row in found[:PAGE]:
        try:
            data = open_payload(cipher, row.data, sample_context(project.pk))
        except DecryptionError:
            logger.warning("traces.samples.cannot_be_opened", extra={"project_id": str(project.pk)})
            continue
        opened.append(Understood(row, data))
    return opened, len(found) > PAGE


def sample_choices(project: Project) -> tuple[list[str], list[str]]:
    """Dialects and scopes among the samples. One query over at most a hundred rows."""
    rows = IngestSample.objects.filter(project=project).values_list("dialect", "scope").distinct()
    pairs = list(rows)
    return sorted({d for d, _ in pairs if d}), sorted({s for _, s in pairs if s})
