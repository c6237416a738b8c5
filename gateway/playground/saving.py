"""Saving a run: every call is recorded anyway; a name and tags make its trace one that is found again."""

import datetime as dt

from django.db import transaction

from accounts.models import User
from core.errors import DomainError, NotFoundError
from gateway.models import LLMRequest
from gateway.playground import runs
from projects.models import Project
from traces.bulk import change_chosen, clean_tag
from traces.naming import clean_name, name_trace

MAX_TAGS = 10


def read_tags(text: str) -> list[str]:
    """Tags with commas between them. Raises DomainError."""
    found = list(dict.fromkeys(clean_tag(one) for one in text.split(",") if one.strip()))
    if len(found) > MAX_TAGS:
        raise DomainError(f"tags: at most {MAX_TAGS} at once.", fields=["tags"])
    return found


@transaction.atomic
def save_run(
    *, project: Project, row: LLMRequest, name: str, tags: str, actor: User, now: dt.datetime
) -> None:
    """Name and tag the run's trace. Raises DomainError naming the field, NotFoundError when it has no trace."""
    name, wanted = clean_name(name), read_tags(tags)
    if runs.trace_of_run(project, row) is None:
        raise NotFoundError("This run has no trace: nobody was asked, or it was deleted.")
    name_trace(project=project, trace_id=row.trace_id, name=name, actor=actor, now=now)
    for tag in wanted:
        change_chosen(
            project=project, actor=actor, action="tag", ids=[row.trace_id], tag=tag, now=now
        )
