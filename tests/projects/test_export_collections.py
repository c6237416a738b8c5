"""Collections as exports: the same examples as their own download, in each format, one collection or all."""

import csv
import io
import json
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest
from django.core.files.storage import default_storage

from core.errors import DomainError, NotFoundError
from projects.export_views import file_response
from projects.exports import job as exports
from projects.models import Project
from tests.factories.feedback import CollectionFactory, CollectionItemFactory
from tests.factories.projects import ProjectFactory
from tests.projects import test_exports
from tests.projects.test_exports import finished, lines_of, start
from traces.models import Collection
from traces.selectors.collection_export import example_lines

pytestmark = pytest.mark.django_db
_storage = test_exports._storage
project = test_exports.project


@pytest.fixture
def gold(project: Project) -> Collection:
    """Five traces, one of them gone, one step; another collection and another project's stand beside it."""
    made = CollectionFactory(project=project, name="Gold")
    for number in range(4):
        CollectionItemFactory(
            collection=made, trace_id=f"trace{number}", expected=f"=right {number}"
        )
    CollectionItemFactory(collection=made, trace_id="gone")
    CollectionItemFactory(collection=made, trace_id="trace5", span_id="call", note="slow")
    CollectionItemFactory(collection__project=project, collection__name="Other", trace_id="trace1")
    foreign = ProjectFactory(slug="elsewhere")
    CollectionItemFactory(collection__project=foreign, trace_id="trace1")
    return made


def text_of(job: Any) -> str:
    return b"".join(file_response(job).streaming_content).decode()


@pytest.mark.parametrize("page", [1, 2, 6, 1000])
def test_one_collection_is_its_download_with_its_name(
    project: Project, gold: Collection, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr(exports, "PAGE", page)
    monkeypatch.setattr(exports, "STEP_BYTES", 1)  # a part per page
    job = finished(start(project, "collections", query=f"collection={gold.pk}"))
    rows = lines_of(job)
    assert rows == [
        {"collection": "Gold", **json.loads(line)} for line in example_lines(project, gold)
    ]
    by_trace = {row["trace_id"]: row for row in rows}
    assert sorted(by_trace) == ["gone", *(f"trace{n}" for n in (0, 1, 2, 3, 5))]
    assert [trace for trace, row in by_trace.items() if row["missing"]] == ["gone"]
    assert by_trace["trace2"]["input"] == [{"role": "user", "content": "Grüße 2\n"}]
    assert by_trace["trace5"] | {"id": "", "added_at": "", "started_at": ""} == {
        "collection": "Gold",
        "id": "",
        "trace_id": "trace5",
        "span_id": "call",
        "name": "call",
        "input": [{"role": "user", "content": "Grüße 5\n"}],
        "output": "done",
        "expected": None,
        "note": "slow",
        "missing": False,
        "started_at": "",
        "models": ["gpt-5-mini"],
        "added_at": "",
    }
    assert (job.title, job.done, job.total) == ("Export collections as JSON Lines", 6, 6)


def test_all_collections_of_the_project_and_no_others(project: Project, gold: Collection) -> None:
    rows = lines_of(finished(start(project, "collections")))
    assert sorted(row["collection"] for row in rows) == ["Gold"] * 6 + ["Other"]


def test_csv_and_parquet(project: Project, gold: Collection, tmp_path: Any) -> None:
    query = f"collection={gold.pk}"
    table = list(
        csv.DictReader(
            io.StringIO(text_of(finished(start(project, "collections", "csv", query=query))))
        )
    )
    cells = {row["trace_id"]: row for row in table}
    assert cells["trace1"]["expected"] == "'=right 1"
    assert json.loads(cells["trace0"]["input"]) == [{"role": "user", "content": "Grüße 0\n"}]
    gone = cells["gone"]
    assert (gone["missing"], gone["input"], gone["started_at"]) == ("true", "", "")
    job = finished(start(project, "collections", "parquet", query=query))
    path = tmp_path / "gold.parquet"
    with default_storage.open(job.result["file"]) as file:
        path.write_bytes(file.read())
    wanted = "expected, input ->> '$[0].content', missing, models"
    found = duckdb.read_parquet(str(path)).order("trace_id").project(wanted).fetchall()
    assert found[2] == ("=right 1", "Grüße 1\n", False, ["gpt-5-mini"])
    assert found[0] == (None, None, True, [])


def test_what_names_no_collection_is_refused(project: Project, gold: Collection) -> None:
    foreign = Collection.objects.exclude(project=project).get()
    with pytest.raises(NotFoundError):
        start(project, "collections", query=f"collection={foreign.pk}")
    for wrong, words in (
        ({"query": "collection=gold"}, "must be a collection's id"),
        ({"query": "range=7d"}, "range is not a filter of collections"),
        ({"ids": ("trace1",)}, "ids cannot choose examples"),
        ({"with_payloads": True}, "no inputs and outputs to add"),
    ):
        with pytest.raises(DomainError, match=words):
            start(project, "collections", **wrong)
    assert not exports.exports_of(project).exists()


def test_the_collections_page_leads_to_it(
    project: Project, gold: Collection, acme: SimpleNamespace, client_of: Any
) -> None:
    client = client_of(acme.member)
    page = client.get(f"/projects/checkout/collections/{gold.pk}/").content.decode()
    link = f"/projects/checkout/exports/?kind=collections&amp;query=collection%3D{gold.pk}"
    assert link in page
    form = client.get(link.replace("&amp;", "&")).content.decode()
    assert f'value="collection={gold.pk}"' in form
    # The page's own range says nothing of collections and is left out.
    client.post(
        "/projects/checkout/exports/", {"kind": "collections", "range": "7d", "format": "csv"}
    )
    assert exports.exports_of(project).get().params["query"] == ""
    assert (
        client_of(acme.viewer)
        .post("/projects/checkout/exports/", {"kind": "collections"})
        .status_code
        == 403
    )
    assert exports.exports_of(project).count() == 1
