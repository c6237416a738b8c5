"""Whose files and batches at providers are whose: every read and write names the project."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet

from core.errors import NotFoundError
from core.ids import uuid7
from gateway.batches.wires import Progress, progress_of
from gateway.models import Batch, BatchState, ProviderFile

Row = TypeVar("Row", Batch, ProviderFile)
UNDER_WAY = (BatchState.OPEN, BatchState.CANCELLING)
# What is looked after until its results are recorded.
WATCHED = (*UNDER_WAY, BatchState.ENDED)
MOVING = (BatchState.MAKING, *WATCHED)
OVER = (BatchState.ENDED, BatchState.RECORDED)
# Between two looks at a young batch and an old one.
YOUNG, OLD = dt.timedelta(minutes=1), dt.timedelta(minutes=5)
# A process that began to create one and did not say how that ended is gone.
MAKING = dt.timedelta(minutes=15)


@dataclass(frozen=True)
class Found(Generic[Row]):
    """Some rows, and whether there are more beyond them."""

    rows: Sequence[Row]
    has_more: bool


@dataclass(frozen=True)
class Place:
    """Which page of a list: at most `limit` rows after (or right before) the one a provider calls so."""

    limit: int
    after: str = ""
    before: str = ""
    is_ascending: bool = False


def file_of(project_id: UUID, wire: str, provider_id: str) -> ProviderFile:
    """One query. Raises NotFoundError, also for another project's."""
    found = ProviderFile.objects.filter(
        project=project_id, wire=wire, provider_id=provider_id[:200]
    ).first()
    if found is None:
        raise NotFoundError(f"No such File object: {provider_id[:100]}")
    return found


def batch_of(project_id: UUID, wire: str, provider_id: str) -> Batch:
    """One query. Raises NotFoundError, also for another project's."""
    found = (
        Batch.objects.filter(project=project_id, wire=wire, provider_id=provider_id[:200])
        .exclude(provider_id="")
        .first()
    )
    if found is None:
        raise NotFoundError(f"No batch found with id '{provider_id[:100]}'.")
    return found


def add_file(
    *,
    project_id: UUID,
    wire: str,
    provider_id: str,
    connection_id: UUID,
    connection_key_id: UUID | None,
    api_key_id: UUID | None,
    document: dict[str, Any],
    content: Any = None,
    purpose: str = "",
    now: dt.datetime,
) -> None:
    """The project has a file at the provider. One query; nothing when it is known."""
    ProviderFile.objects.bulk_create(
        [
            ProviderFile(
                project_id=project_id,
                id=uuid7(),
                wire=wire,
                provider_id=provider_id,
                connection_id=connection_id,
                connection_key_id=connection_key_id,
                api_key_id=api_key_id,
                purpose=(purpose or str(document.get("purpose") or ""))[:60],
                document=document,
                content=content,
                created_at=now,
            )
        ],
        ignore_conflicts=True,
    )


def files_page(project_id: UUID, wire: str, place: Place, *, purpose: str = "") -> Found[Any]:
    """At most two queries. Raises NotFoundError for a place that is none of the project's."""
    rows = ProviderFile.objects.filter(project=project_id, wire=wire).defer("content")
    if purpose:
        rows = rows.filter(purpose=purpose)
    return _page(rows, place, lambda name: file_of(project_id, wire, name))


def batches_page(project_id: UUID, wire: str, place: Place) -> Found[Any]:
    """At most two queries. Raises NotFoundError for a place that is none of the project's."""
    rows = Batch.objects.filter(project=project_id, wire=wire).exclude(provider_id="")
    return _page(rows, place, lambda name: batch_of(project_id, wire, name))


def _page(rows: QuerySet[Any], place: Place, find: Any) -> Found[Any]:
    """Newest first, or the other way round; rows before another one come nearest first from the database."""
    down = not place.is_ascending
    if place.after:
        rows = rows.filter(_beyond(find(place.after), is_older=down))
    if place.before:
        rows = rows.filter(_beyond(find(place.before), is_older=not down))
    is_turned = bool(place.before) and not place.after
    sign = "-" if down != is_turned else ""
    found = list(rows.order_by(f"{sign}created_at", f"{sign}id")[: place.limit + 1])
    has_more = len(found) > place.limit
    found = found[: place.limit]
    return Found(found[::-1] if is_turned else found, has_more)


def _beyond(row: Batch | ProviderFile, *, is_older: bool) -> Q:
    sign = "lt" if is_older else "gt"
    same = Q(created_at=row.created_at, **{f"id__{sign}": row.id})
    return Q(**{f"created_at__{sign}": row.created_at}) | same


def note(row: Batch, document: dict[str, Any], *, now: dt.datetime) -> Batch:
    """Keep what the provider says of a batch now, and take in files it made; the row as it is then. Four queries.

    A batch whose results are recorded, or that was lost sight of, stays as it is but for its description. What was
    asked before it ended and comes after that changes nothing, nor does it undo a wish to cancel.
    """
    progress = progress_of(row.wire, document)
    with transaction.atomic():
        known = _mine(row).select_for_update().values_list("state", "document").first()
        if known is None:
            return row
        # Somebody may have moved it on while its provider was asked.
        row.state, row.document = known
        if row.state in OVER and not progress.is_over:
            return row
        fields: dict[str, Any] = {"document": document, "status": progress.status[:40]}
        if row.state in MOVING:
            fields |= _standing(row, progress, now)
        update(row, **fields)
    if progress.files:
        _add_files(row, progress, now)
    return row


def unknown_of(row: Batch, documents: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those of the project's batches that no row names. One query."""
    names = [one["id"][:200] for one in documents]
    rows = Batch.objects.filter(project=row.project_id, wire=row.wire, provider_id__in=names)
    known = set(rows.values_list("provider_id", flat=True))
    return [one for one in documents if one["id"][:200] not in known]


def made(row: Batch, document: dict[str, Any], *, has_reservation: bool, now: dt.datetime) -> None:
    """The provider has taken it. Three queries."""
    update(row, provider_id=str(document["id"])[:200], has_reservation=has_reservation)
    note(row, document, now=now)


def _standing(row: Batch, progress: Progress, now: dt.datetime) -> dict[str, Any]:
    state = BatchState.OPEN
    if progress.is_over:
        state = BatchState.ENDED
    elif progress.is_cancelling or row.state == BatchState.CANCELLING:
        state = BatchState.CANCELLING
    age = now - row.created_at
    rest = YOUNG if age < dt.timedelta(hours=1) else OLD
    return {
        "state": state,
        "succeeded": progress.succeeded,
        "failed": progress.failed,
        "ended_at": (progress.ended_at or now) if progress.is_over else None,
        "poll_at": now if progress.is_over else now + rest,
        "polls_failed": 0,
        "error": "",
    }


def _add_files(row: Batch, progress: Progress, now: dt.datetime) -> None:
    for name in progress.files:
        add_file(
            project_id=row.project_id,
            wire=row.wire,
            provider_id=name[:200],
            connection_id=row.connection_id,
            connection_key_id=row.connection_key_id,
            api_key_id=row.api_key_id,
            document={},
            purpose="batch_output",
            now=now,
        )


def describe(row: ProviderFile, document: dict[str, Any]) -> None:
    """Keep what the provider says of a file now. One query."""
    row.document = document
    ProviderFile.objects.filter(project=row.project_id, id=row.id).update(document=document)


def batch_that_made(project_id: UUID, wire: str, file_id: str) -> Batch | None:
    """The batch whose results a file holds, while they are not recorded. One query."""
    made = Q(document__output_file_id=file_id) | Q(document__error_file_id=file_id)
    rows = Batch.objects.filter(made, project=project_id, wire=wire, state__in=WATCHED)
    return rows.first()


def _mine(row: Batch) -> QuerySet[Batch]:
    return Batch.objects.filter(project=row.project_id, id=row.id)


def update(row: Batch, **fields: Any) -> None:
    """Change a batch. One query."""
    for name, value in fields.items():
        setattr(row, name, value)
    _mine(row).update(**fields)


def move(row: Batch, **fields: Any) -> bool:
    """Change a batch that is not recorded or lost yet; False: it is, and stays so. One query."""
    if not _mine(row).filter(state__in=MOVING).update(**fields):
        return False
    for name, value in fields.items():
        setattr(row, name, value)
    return True


def forget_batch(row: Batch) -> None:
    """It never was, or its provider has forgotten it. One query."""
    _mine(row).delete()


def forget_file(row: ProviderFile) -> None:
    """Its provider has forgotten it. One query."""
    ProviderFile.objects.filter(project=row.project_id, id=row.id).delete()
