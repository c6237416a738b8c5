"""The guard of tests/tenant_guard.py sees a query without its tenant, and only that."""

from pathlib import Path

import pytest
from django.db import connection

from costs.models import CostRecord
from projects.models import ApiKey
from tests.factories.projects import ProjectFactory
from tests.tenant_guard import ALLOWED, ROOT, TABLES, TenantGuard, names_its_tenant
from traces.models import Span, Trace

pytestmark = pytest.mark.django_db


def as_application(source: str) -> None:
    """Run a line as if it stood in a module of the application."""
    names = {"Trace": Trace, "Span": Span, "CostRecord": CostRecord, "ApiKey": ApiKey}
    with connection.cursor() as cursor:
        names |= {"project": ProjectFactory(), "cursor": cursor}
        exec(compile(source, f"{ROOT}/costs/written_in_a_hurry.py", "exec"), names)  # noqa: S102


@pytest.mark.parametrize(
    "source",
    [
        "list(Trace.objects.all())",
        "list(Trace.objects.filter(trace_id='t1'))",
        "CostRecord.objects.count()",
        "Span.objects.filter(span_id='s1').update(name='x')",
        "ApiKey.objects.filter(prefix='x').delete()",
        "list(ApiKey.objects.filter(project__slug='mine'))",
        "list(ApiKey.objects.select_related('project').filter(name='x'))",
        "list(Trace.objects.filter(project=project, trace_id__in=Span.objects.values('trace_id')))",
        "cursor.execute('SELECT sum(cost_usd) FROM costs_costaggregate')",
        "cursor.execute('WITH a AS (SELECT * FROM traces_span) SELECT * FROM a')",
    ],
)
def test_a_query_without_its_tenant_is_seen(tenant_guard: TenantGuard, source: str) -> None:
    as_application(source)
    assert [(v.file, v.line) for v in tenant_guard.found][:1] == [
        ("costs/written_in_a_hurry.py", 1)
    ]
    tenant_guard.found.clear()


@pytest.mark.parametrize(
    "source",
    [
        "list(Trace.objects.filter(project=project))",
        "list(Trace.objects.filter(project__in=[project], trace_id='t1'))",
        "Span.objects.filter(project_id=project.pk).update(name='x')",
        "own = Span.objects.filter(project=project).values('trace_id')\n"
        "list(Trace.objects.filter(project=project, trace_id__in=own))",
        "cursor.execute('SELECT 1 FROM traces_span s WHERE s.project_id = %s', [project.pk])",
        "cursor.execute('SELECT count(*) FROM core_outboxitem')",
    ],
)
def test_a_query_of_one_tenant_passes(tenant_guard: TenantGuard, source: str) -> None:
    as_application(source)
    assert tenant_guard.found == []


def test_queries_of_tests_are_free(tenant_guard: TenantGuard) -> None:
    list(Trace.objects.all())
    assert tenant_guard.found == []


def test_a_join_on_the_project_alone_names_no_tenant() -> None:
    join = (
        'SELECT 1 FROM "projects_apikey" INNER JOIN "projects_project"'
        ' ON ("projects_apikey"."project_id" = "projects_project"."id")'
    )
    assert not names_its_tenant(join)
    assert names_its_tenant(f'{join} WHERE "projects_apikey"."project_id" = %s')


def test_every_guarded_table_and_every_exception_exists() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name FROM information_schema.columns"
            " WHERE column_name = 'project_id' AND table_name = ANY(%s)",
            [list(TABLES)],
        )
        assert {name for (name,) in cursor.fetchall()} == set(TABLES)
    for (file, function), reason in ALLOWED.items():
        text = (Path(ROOT) / file).read_text()
        assert function == "*" or f"def {function}(" in text, f"{file}: {function}"
        assert reason


def test_the_guard_watches_every_test_with_the_database(tenant_guard: TenantGuard) -> None:
    assert tenant_guard in connection.execute_wrappers
