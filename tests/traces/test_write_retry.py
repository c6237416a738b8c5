"""A batch that fails in passing is tried again, for each reason its own number of times."""

from typing import Any

import pytest
from django.db import IntegrityError, OperationalError, connection

from projects.models import Project
from tests.factories.projects import ProjectFactory
from tests.traces.spans import assert_ledger_is_exact, context_for, llm
from tests.traces.test_write import NOW
from traces.ingest.write import MAX_TRIES, write_spans
from traces.models import Span

pytestmark = pytest.mark.django_db

# What another transaction may do at the worst moment: (before which statement, what). It is undone with the try.
RULES = (
    "INSERT INTO traces_trace",
    "UPDATE costs_projectusage SET rules_version = rules_version + 1 WHERE project_id = %s",
)
DELETED = ("SELECT trace_id", "DELETE FROM traces_trace WHERE project_id = %s")
CONSTRAINT = (
    "INSERT INTO traces_trace",
    "DO $$ BEGIN RAISE unique_violation; END $$",
)
DEADLOCK = (
    "INSERT INTO traces_trace",
    "DO $$ BEGIN RAISE deadlock_detected; END $$",
)


class Others:
    """Wraps statements of the writer: each of its tries meets the next disturbance."""

    def __init__(self, project: Project, disturbances: list[tuple[str, str]]) -> None:
        self.project, self.left = project, list(disturbances)

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if self.left and sql.lstrip().startswith(self.left[0][0]):
            _, disturbance = self.left.pop(0)
            with connection.cursor() as cursor:
                cursor.execute(disturbance, [self.project.pk] if "%s" in disturbance else None)
        return execute(sql, params, many, context)


def write_among(project: Project, disturbances: list[tuple[str, str]]) -> Others:
    """A second step of a trace that is there, while others do these things."""
    write_spans(context_for(project), [llm("first")], now=NOW)
    others = Others(project, disturbances)
    with connection.execute_wrapper(others):
        write_spans(context_for(project), [llm("second")], now=NOW)
    return others


def test_every_reason_has_its_own_tries() -> None:
    project: Project = ProjectFactory()
    all_but_last = MAX_TRIES - 1
    others = write_among(project, [RULES, DELETED, CONSTRAINT, DEADLOCK] * all_but_last)
    assert others.left == []
    assert Span.objects.filter(project=project).count() == 2
    assert_ledger_is_exact(project)


@pytest.mark.parametrize(
    ("disturbance", "error", "words"),
    [
        (RULES, OperationalError, "The price rules keep changing"),
        (DELETED, OperationalError, "keep being deleted"),
        (CONSTRAINT, IntegrityError, "unique_violation"),
        (DEADLOCK, OperationalError, "deadlock_detected"),
    ],
)
def test_what_never_passes_ends_and_stores_nothing(
    disturbance: tuple[str, str], error: type[Exception], words: str
) -> None:
    project: Project = ProjectFactory()
    with pytest.raises(error, match=words):
        write_among(project, [disturbance] * MAX_TRIES)
    assert Span.objects.filter(project=project).count() == 1
    assert_ledger_is_exact(project)
