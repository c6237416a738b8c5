"""Collections: named lists of traces and steps taken from real traffic, to test against later."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.models import User
from accounts.services import record_audit_event
from core.errors import ConflictError, DomainError, NotFoundError
from core.ids import uuid7
from projects.models import Project
from traces.models import Collection, CollectionItem, Trace
from traces.selectors import detail

MAX_NAME = 100
MAX_DESCRIPTION = 500
MAX_EXPECTED = 100_000
MAX_NOTE = 500
MAX_COLLECTIONS = 1_000
MAX_ITEMS = 100_000


class Added(NamedTuple):
    """What adding did: new items, those there already, and ids of traces that are not there."""

    added: int
    known: int
    missing: list[str]


def create_collection(
    *, project: Project, name: str, description: str = "", actor: User | None
) -> Collection:
    """A new, empty collection. Raises DomainError naming the field, ConflictError when the name is taken."""
    fields = _checked(name, description)
    if Collection.objects.filter(project=project).count() >= MAX_COLLECTIONS:
        raise ConflictError(f"A project has at most {MAX_COLLECTIONS:,} collections; delete one.")
    try:
        with transaction.atomic():
            return Collection.objects.create(project=project, created_by=actor, **fields)
    except IntegrityError:
        raise ConflictError(
            f"A collection is named {fields['name']} already.", fields=["name"]
        ) from None


def change_collection(
    *, project: Project, collection: Collection, name: str, description: str
) -> None:
    """Rename or describe it. Raises DomainError, ConflictError."""
    fields = _checked(name, description)
    try:
        with transaction.atomic():
            Collection.objects.filter(project=project, pk=collection.pk).update(
                **fields, updated_at=timezone.now()
            )
    except IntegrityError:
        raise ConflictError(
            f"A collection is named {fields['name']} already.", fields=["name"]
        ) from None


@transaction.atomic
def delete_collection(
    *, project: Project, collection: Collection, actor: User | None, actor_label: str = ""
) -> int:
    """Delete it with its items; the traces stay. Returns how many items it had."""
    items: int = CollectionItem.objects.filter(
        project=project, collection=collection.pk
    )._raw_delete("default")
    Collection.objects.filter(project=project, pk=collection.pk)._raw_delete("default")
    record_audit_event(
        organization_id=project.organization_id,
        actor=actor,
        actor_label=actor_label,
        action="collection.deleted",
        target=collection.name,
        data={"project": str(project.pk), "items": items},
    )
    return items


@transaction.atomic
def add_traces(
    *, project: Project, collection: Collection, trace_ids: Sequence[str], actor: User | None
) -> Added:
    """Add whole traces, each once. Four statements for a thousand. Raises DomainError when it would overflow."""
    wanted = list(dict.fromkeys(text for text in trace_ids if "\x00" not in text))
    found = set(
        Trace.objects.filter(project=project, trace_id__in=wanted).values_list(
            "trace_id", flat=True
        )
    )
    missing = [text for text in wanted if text not in found]
    fresh = [text for text in wanted if text in found]
    added = _insert(project, collection, [(text, "") for text in fresh], actor)
    return Added(added, len(fresh) - added, missing)


@transaction.atomic
def add_step(
    *,
    project: Project,
    collection: Collection,
    trace_id: str,
    span_id: str,
    actor: User | None,
) -> Added:
    """Add one step of a trace, or with an empty `span_id` the trace. Raises NotFoundError without the step."""
    if not span_id:
        return add_traces(project=project, collection=collection, trace_ids=[trace_id], actor=actor)
    trace = detail.trace_of(project, trace_id)
    if trace is None:
        return Added(0, 0, [trace_id])
    if detail.step_of(trace, span_id) is None:
        raise NotFoundError("This step has not arrived, or it was deleted.")
    added = _insert(project, collection, [(trace_id, span_id)], actor)
    return Added(added, 1 - added, [])


def _insert(
    project: Project,
    collection: Collection,
    subjects: Sequence[tuple[str, str]],
    actor: User | None,
) -> int:
    items = CollectionItem.objects.filter(project=project, collection=collection.pk)
    before = items.count()
    if before + len(subjects) > MAX_ITEMS:
        raise DomainError(f"A collection holds at most {MAX_ITEMS:,} items.", fields=["trace_ids"])
    CollectionItem.objects.bulk_create(
        [
            CollectionItem(
                pk=uuid7(),
                project=project,
                collection=collection,
                trace_id=trace_id,
                span_id=span_id,
                added_by=actor,
            )
            for trace_id, span_id in subjects
        ],
        ignore_conflicts=True,
        batch_size=1_000,
    )
    return items.count() - before


def change_item(
    *, project: Project, collection: Collection, item_id: UUID, expected: str, note: str
) -> CollectionItem:
    """Say what the answer should have been. Raises NotFoundError, DomainError."""
    item = CollectionItem.objects.filter(
        project=project, collection=collection.pk, pk=item_id
    ).first()
    if item is None:
        raise NotFoundError("There is no such item in this collection.")
    for name, text, limit in (("expected", expected, MAX_EXPECTED), ("note", note, MAX_NOTE)):
        if len(text) > limit or "\x00" in text:
            raise DomainError(f"{name} may have at most {limit:,} characters.", fields=[name])
    item.expected, item.note = expected.replace("\r\n", "\n").strip(), note.strip()
    CollectionItem.objects.filter(project=project, pk=item_id).update(
        expected=item.expected, note=item.note, updated_at=timezone.now()
    )
    return item


def remove_items(*, project: Project, collection: Collection, item_ids: Sequence[UUID]) -> int:
    """Take items out; returns how many there were."""
    found = CollectionItem.objects.filter(
        project=project, collection=collection.pk, pk__in=item_ids
    )
    return int(found._raw_delete("default"))


def _checked(name: str, description: str) -> dict[str, str]:
    name, description = name.strip(), description.strip()
    if not 1 <= len(name) <= MAX_NAME or not name.isprintable():
        raise DomainError(f"name must have 1 to {MAX_NAME} printable characters.", fields=["name"])
    if len(description) > MAX_DESCRIPTION or "\x00" in description:
        raise DomainError(
            f"description may have at most {MAX_DESCRIPTION} characters.", fields=["description"]
        )
    return {"name": name, "description": description}
