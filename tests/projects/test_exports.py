"""Exports: every row once, in each format, by a job that resumes, is cancelled, and cleans up behind itself."""

import csv
import datetime as dt
import gzip
import io
import json
from collections.abc import Iterator
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import boto3
import duckdb
import pytest
from django.core.files.storage import default_storage
from django.utils import timezone
from moto.server import ThreadedMotoServer

from core import jobs, outbox
from core.errors import DomainError
from core.models import Job, OutboxItem
from projects import purge
from projects.exports import job as exports
from projects.exports import withdrawal
from projects.exports.encoding import csv_lines
from projects.exports.parquet import convert
from projects.exports.registry import Column, Request
from projects.models import Project
from tests.factories.projects import ProjectFactory
from tests.traces.spans import context_for, llm, span
from tests.traces.test_search_index import read
from traces import erasure
from traces.feedback.scores import ScoreItem, record_scores
from traces.ingest.write import write_spans

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _storage(settings: Any, tmp_path: Any) -> None:
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": str(tmp_path)},
        },
    }
    settings.LLMLAB_DATA_DIR = tmp_path


@pytest.fixture
def project(acme: SimpleNamespace) -> Project:
    """Seven traces of two steps, one of them without a price, one with a name that is a formula."""
    made = ProjectFactory(organization=acme.organization, slug="checkout")
    now = timezone.now()
    spans = []
    for number in range(7):
        at = now - dt.timedelta(minutes=10 + number)
        trace = f"trace{number}"
        name = "=cmd()" if number == 3 else f"run {number}"
        model = "no-such-model" if number == 6 else "gpt-5-mini"
        spans += [
            span("root", trace_id=trace, name=name, started_at=at, tags=("gold", "eu")),
            llm(
                "call",
                trace_id=trace,
                parent_span_id="root",
                started_at=at,
                model=model,
                input=[{"role": "user", "content": f"Grüße {number}\n"}],
                output="done",
            ),
        ]
    write_spans(context_for(made), spans, now=now)
    made.ref = made.slug
    return made


def start(project: Project, kind: str = "traces", format_name: str = "jsonl", **more: Any) -> Job:
    return exports.start_export(
        project=project, kind=kind, format_name=format_name, request=Request(**more), actor=None
    )


def drain() -> None:
    later = dt.timedelta(minutes=1)
    while outbox.drain(now=lambda: timezone.now() + later):
        pass


def finished(job: Job) -> Job:
    drain()
    job.refresh_from_db()
    assert job.state == "done", job.message
    return job


def lines_of(job: Job) -> list[dict[str, Any]]:
    with default_storage.open(job.result["file"]) as file:
        return [json.loads(line) for line in gzip.decompress(file.read()).splitlines()]


@pytest.mark.parametrize("page", [2, 3, 7, 1000])
def test_every_row_once_whatever_the_page(
    project: Project, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr(exports, "PAGE", page)
    monkeypatch.setattr(exports, "STEP_BYTES", 1)  # a part per page
    job = finished(start(project))
    rows = lines_of(job)
    assert [row["trace_id"] for row in rows] == [f"trace{number}" for number in range(7)]
    assert (job.done, job.total, job.result["rows"]) == (7, 7, 7)
    assert rows[0]["cost_usd"] == "0.000450000000"
    assert rows[6]["cost_usd"] is None
    assert rows[6]["unpriced_calls"] == 1
    assert rows[0]["tags"] == ["eu", "gold"]
    names = default_storage.listdir(exports.folder(job))[1]
    assert names == ["traces.jsonl.gz"]  # no part is left


@pytest.mark.parametrize("page", [1, 2, 100])
def test_steps_with_what_was_said(
    project: Project, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr(exports, "PAGE", page)
    rows = lines_of(finished(start(project, "spans", with_payloads=True)))
    assert len(rows) == 14
    assert len({(row["trace_id"], row["span_id"]) for row in rows}) == 14
    call = next(row for row in rows if (row["trace_id"], row["span_id"]) == ("trace2", "call"))
    assert call["input"] == [{"role": "user", "content": "Grüße 2\n"}]
    assert call["output"] == "done"
    assert call["input_tokens"] == 1000


def test_a_big_trace_is_read_in_pages(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("traces.export_sources.BIG_TRACE", 1)
    monkeypatch.setattr(exports, "PAGE", 1)
    rows = lines_of(finished(start(project, "spans")))
    assert len({(row["trace_id"], row["span_id"]) for row in rows}) == len(rows) == 14


def test_csv_cells_follow_the_one_rule_against_formulas() -> None:
    columns = [Column("name", "text"), Column("cost", "decimal")]
    line = csv_lines(columns, [["\tx", Decimal("-1.5")]])
    assert line == b"'\tx,-1.5\r\n"


def test_csv_holds_formulas_as_text_and_keeps_line_breaks(project: Project) -> None:
    job = finished(start(project, "traces", "csv"))
    with default_storage.open(job.result["file"]) as file:
        text = gzip.decompress(file.read()).decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 7
    assert rows[3]["name"] == "'=cmd()"
    assert rows[6]["cost_usd"] == ""
    assert json.loads(rows[0]["tags"]) == ["eu", "gold"]


def test_parquet_keeps_types_and_every_digit(project: Project, tmp_path: Any) -> None:
    job = finished(start(project, "spans", "parquet", with_payloads=True))
    path = default_storage.path(job.result["file"])
    found = duckdb.sql(
        f"SELECT trace_id, epoch_us(started_at), cost_usd, input_tokens, input FROM '{path}'"  # noqa: S608
        " WHERE span_id = 'call' ORDER BY trace_id"
    )
    assert [str(kind) for kind in found.types] == [
        "VARCHAR",
        "BIGINT",
        "DECIMAL(38,12)",
        "BIGINT",
        "VARCHAR",
    ]
    rows = found.fetchall()
    assert len(rows) == 7
    assert str(rows[0][2]) == "0.000450000000"
    assert rows[6][2] is None
    assert json.loads(rows[0][4]) == [{"role": "user", "content": "Grüße 0\n"}]
    assert not list((tmp_path / "spool").iterdir())


def test_parquet_takes_a_line_of_some_megabytes(tmp_path: Any) -> None:
    part, target = tmp_path / "part.json.gz", tmp_path / "out.parquet"
    lines = [json.dumps({"a": text}) for text in ("x" * 2_500_000, "y")]
    part.write_bytes(gzip.compress("\n".join(lines).encode()))
    convert({"parts": [str(part)], "target": str(target), "columns": [["a", "text"]]})
    question = "SELECT count(*), max(length(a)) FROM read_parquet(?)"
    assert duckdb.execute(question, [str(target)]).fetchone() == (2, 2_500_000)


def test_cost_records_of_a_filter(project: Project) -> None:
    rows = lines_of(finished(start(project, "costs", query="model=gpt-5-mini")))
    assert len(rows) == 6
    assert {row["cost_usd"] for row in rows} == {"0.000450000000"}


def test_chosen_traces_and_filters(project: Project) -> None:
    chosen = lines_of(finished(start(project, ids=("trace1", "trace5", "foreign"))))
    assert [row["trace_id"] for row in chosen] == ["trace1", "trace5"]
    named = lines_of(finished(start(project, query="range=24h&name=run+2&sort=-cost")))
    assert [row["trace_id"] for row in named] == ["trace2"]


def test_a_step_repeated_after_a_kill_writes_no_row_twice(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "PAGE", 3)
    monkeypatch.setattr(exports, "STEP_BYTES", 1)
    job = start(project)
    exports.run_step(job, now=timezone.now())  # its part is stored, its progress is lost
    assert len(lines_of(finished(job))) == 7


def test_a_cancelled_export_leaves_nothing(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "PAGE", 3)
    monkeypatch.setattr(exports, "STEP_BYTES", 1)
    job = start(project)
    item = OutboxItem.objects.get(topic=jobs.TOPIC)
    outbox.run(item.pk, now=timezone.now())
    assert default_storage.listdir(exports.folder(job))[1] == ["part-00000.gz"]
    jobs.request_cancel(job.pk, now=timezone.now())
    drain()
    job.refresh_from_db()
    assert job.state == "cancelled"
    assert not default_storage.exists(exports.folder(job))


def test_files_go_after_a_week_and_the_page_says_so(
    project: Project, acme: SimpleNamespace, client_of: Any
) -> None:
    job = finished(start(project))
    name = job.result["file"]
    assert exports.expire_exports(now=timezone.now() + dt.timedelta(days=6)) == 0
    assert exports.expire_exports(now=timezone.now() + dt.timedelta(days=8)) == 1
    assert not default_storage.exists(name)
    answer = client_of(acme.viewer).get(f"/projects/checkout/exports/{job.pk}/file/")
    assert answer.status_code == 404
    assert "removed after a week" in answer.content.decode()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"kind": "nothing"}, "kind=&#x27;nothing&#x27; must be one of"),
        ({"format": "xlsx"}, "format=&#x27;xlsx&#x27; must be one of"),
        ({"query": "range=never"}, "range"),
        ({"with_payloads": "1"}, "Traces have no inputs and outputs to add"),
        ({"ids": ["x"] * 501}, "at most 500"),
    ],
)
def test_what_cannot_be_exported_is_refused_before_a_job_is_made(
    project: Project, acme: SimpleNamespace, client_of: Any, more: dict[str, Any], words: str
) -> None:
    sent = {"kind": "traces", "format": "csv", **more}
    answer = client_of(acme.member).post("/projects/checkout/exports/", sent)
    assert answer.status_code == 400
    assert words in answer.content.decode()
    assert not Job.objects.filter(kind=exports.KIND).exists()


def test_deleting_the_project_removes_its_files_and_no_others(
    project: Project, acme: SimpleNamespace
) -> None:
    other = ProjectFactory(organization=acme.organization, slug="other")
    done, kept = start(project), start(other)
    drain()
    running = start(project)
    files = [exports.folder(job) for job in (done, kept)]
    assert [default_storage.exists(place) for place in files] == [True, True]
    assert exports.count_project_exports(project.pk) == 2
    assert purge._PURGERS["exports"].delete_batch(project.pk, 1) == 1
    assert purge._PURGERS["exports"].delete_batch(project.pk, 500) == 1
    assert purge._PURGERS["exports"].delete_batch(project.pk, 500) == 0
    assert [default_storage.exists(place) for place in files] == [False, True]
    assert list(Job.objects.filter(kind=exports.KIND)) == [kept]
    drain()  # the step of the removed job finds nothing to do
    assert not Job.objects.filter(pk=running.pk).exists()


def test_five_at_a_time(project: Project, acme: SimpleNamespace, client_of: Any) -> None:
    for _ in range(5):
        start(project)
    sent = {"kind": "traces", "format": "csv", "range": "7d"}
    answer = client_of(acme.member).post("/projects/checkout/exports/", sent)
    assert answer.status_code == 429
    drain()
    assert client_of(acme.member).post("/projects/checkout/exports/", sent).status_code == 302


def test_the_page_lists_downloads_and_removes(
    project: Project, acme: SimpleNamespace, globex: SimpleNamespace, client_of: Any
) -> None:
    client = client_of(acme.member)
    client.post("/projects/checkout/exports/", {"kind": "traces", "format": "csv", "range": "7d"})
    job = Job.objects.get(kind=exports.KIND)
    waiting = client.get("/projects/checkout/exports/").content.decode()
    assert 'hx-trigger="every 1s"' in waiting
    finished(job)
    page = client_of(acme.viewer).get("/projects/checkout/exports/").content.decode()
    assert f"/exports/{job.pk}/file/" in page
    assert "every 1s" not in page
    assert "New export" not in page  # a viewer reads
    plain = client_of(acme.viewer).get(f"/projects/checkout/exports/{job.pk}/file/")
    packed = client.get(f"/projects/checkout/exports/{job.pk}/file/?gz=1")
    text = b"".join(plain.streaming_content)
    assert text.startswith(b"trace_id,name,status")
    assert gzip.decompress(b"".join(packed.streaming_content)) == text
    stranger = client_of(globex.owner)
    assert stranger.get(f"/projects/checkout/exports/{job.pk}/file/").status_code == 404
    other = ProjectFactory(organization=globex.organization, slug="other")
    assert stranger.get(f"/projects/{other.slug}/exports/{job.pk}/file/").status_code == 404
    assert (
        client_of(acme.viewer).post(f"/projects/checkout/exports/{job.pk}/removal/").status_code
        == 403
    )
    assert client.post(f"/projects/checkout/exports/{job.pk}/removal/").status_code == 302
    assert not Job.objects.filter(pk=job.pk).exists()
    assert not default_storage.exists(f"exports/{project.pk}/{job.pk}/traces.csv.gz")


def test_the_api_asks_polls_and_fetches(
    project: Project, acme: SimpleNamespace, client_of: Any
) -> None:
    client = client_of(acme.member)
    base = "/api/v1/projects/checkout/exports"
    asked = client.post(
        base, {"kind": "traces", "format": "jsonl"}, content_type="application/json"
    )
    assert asked.status_code == 202
    job = Job.objects.get(pk=asked.json()["id"])
    assert client.get(f"{base}/{job.pk}/file").status_code == 404
    finished(job)
    assert client.get("/api/v1/projects/checkout/jobs/" + str(job.pk)).json()["state"] == "done"
    body = b"".join(client.get(f"{base}/{job.pk}/file").streaming_content)
    assert len(body.splitlines()) == 7
    assert (
        client_of(acme.viewer)
        .post(base, {"kind": "traces"}, content_type="application/json")
        .status_code
        == 403
    )


@pytest.fixture
def bucket(settings: Any) -> Iterator[None]:
    """An S3-compatible server of our own; the storage has the shape that LLMLAB_S3_* give it."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    place = {"endpoint_url": f"http://{host}:{port}", "region_name": "us-east-1"}
    boto3.client(
        "s3", aws_access_key_id="key", aws_secret_access_key="secret", **place
    ).create_bucket(Bucket="exports")
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {
            "BACKEND": "storages.backends.s3.S3Storage",
            "OPTIONS": {
                "bucket_name": "exports",
                "location": "llmlab",
                "access_key": "key",
                "secret_key": "secret",
                "file_overwrite": False,
                **place,
            },
        },
    }
    yield
    server.stop()


@pytest.mark.parametrize(
    ("format_name", "name"), [("jsonl", "traces.jsonl.gz"), ("parquet", "traces.parquet")]
)
def test_a_bucket_takes_the_files_too(
    bucket: None,
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    acme: SimpleNamespace,
    client_of: Any,
    format_name: str,
    name: str,
) -> None:
    monkeypatch.setattr(exports, "PAGE", 2)
    monkeypatch.setattr(exports, "STEP_BYTES", 1)
    job = finished(start(project, "traces", format_name))
    assert default_storage.listdir(exports.folder(job))[1] == [name]
    file = client_of(acme.viewer).get(f"/projects/checkout/exports/{job.pk}/file/")
    body = b"".join(file.streaming_content)
    assert body[:4] == b"PAR1" if format_name == "parquet" else len(body.splitlines()) == 7
    exports.delete_export(job=job)
    assert default_storage.listdir(exports.folder(job))[1] == []


def test_everything_that_matches_wins_over_the_ticked_rows(
    project: Project, acme: SimpleNamespace, client_of: Any
) -> None:
    body = {"kind": "traces", "format": "jsonl", "query": "range=24h&name=run+2", "ids": ["trace1"]}
    client = client_of(acme.member)
    for more, wanted in (({}, ["trace1"]), ({"scope": "all"}, ["trace2"])):
        client.post("/projects/checkout/exports/", {**body, **more})
        job = exports.exports_of(project).latest("pk")
        assert [row["trace_id"] for row in lines_of(finished(job))] == wanted


def test_lists_are_exported_as_they_are_filtered(project: Project) -> None:
    now = timezone.now()
    spans = [
        llm(f"s{n}", trace_id=f"talk{n}", started_at=now - dt.timedelta(hours=n + 1), user_id=user,
            session_id=session, status=status, error_type=kind, error_message="late")
        for n, (user, session, status, kind) in enumerate(
            (("mina", "one", "ok", ""), ("mina", "two", "error", "Timeout"), ("kofi", "three", "error", "Refused"))
        )
    ]  # fmt: skip
    write_spans(context_for(project), spans, now=now)
    read(project)
    record_scores(
        project_id=project.pk,
        now=now,
        items=[
            ScoreItem(name=name, value=value, trace_id="talk0", score_id=name)
            for name, value in (("thumbs", True), ("grounded", 0.5))
        ],
    )

    def exported(kind: str, query: str, column: str) -> list[str]:
        return [row[column] for row in lines_of(finished(start(project, kind, query=query)))]

    assert exported("sessions", "range=24h&user=mina", "session") == ["one", "two"]
    assert exported("sessions", "range=24h&has=errors&q=tw&sort=-cost", "session") == ["two"]
    assert exported("users", "range=24h&has=errors", "user") == ["kofi", "mina"]
    assert exported("errors", "range=24h&type=Timeout", "error_type") == ["Timeout"]
    assert exported("errors", "range=24h&status=resolved", "error_type") == []
    assert exported("scores", "range=24h&name=thumbs&sort=value", "score_id") == ["thumbs"]
    assert exported("scores", "range=24h&max=0.6", "score_id") == ["grounded"]
    for kind in ("sessions", "scores"):
        with pytest.raises(DomainError, match="colour is not a filter of this list"):
            start(project, kind, query="colour=blue")


def erase(project: Project) -> Job:
    return erasure.start_erasure(
        project=project, subject="user", value="user-a", actor=None, now=timezone.now()
    )


def test_an_erasure_removes_the_files_of_every_export_made_before(
    project: Project, acme: SimpleNamespace, client_of: Any
) -> None:
    other: Project = ProjectFactory(organization=acme.organization, slug="other")
    kept = finished(start(other, kind="traces"))
    before = [
        finished(start(project, query="user=user-a&range=30d")),
        finished(start(project, format_name="csv", ids=("trace1",))),
    ]
    files = [job.result["file"] for job in before]
    job = finished(erase(project))
    assert job.result == {"exports_removed": 2, "exports_cancelled": 0}
    assert "exports made before that were removed: 2." in job.message
    assert not any(default_storage.exists(name) for name in files)
    assert default_storage.exists(kept.result["file"])
    for one in before:
        one.refresh_from_db()
        assert (one.state, one.message) == ("done", withdrawal.MESSAGE)
        assert "user-a" not in str(one.params)
        path = f"/projects/checkout/exports/{one.pk}/file/"
        answer = client_of(acme.viewer).get(path)
        assert answer.status_code == 404
    listed = client_of(acme.viewer).get("/projects/checkout/exports/").content.decode()
    assert listed.count("data of a person in this project was deleted") == 2
    after = finished(start(project))
    assert default_storage.exists(after.result["file"])


def run_next_step(job: Job) -> None:
    item = OutboxItem.objects.get(payload__job_id=str(job.pk), done_at=None)
    assert outbox.run(item.pk, now=timezone.now())
    job.refresh_from_db()


def test_an_erasure_cancels_an_export_under_way(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "PAGE", 2)
    monkeypatch.setattr(exports, "STEP_BYTES", 1)
    running = start(project, query="range=30d", ids=("trace1", "trace2", "trace3"))
    run_next_step(running)
    assert (running.state, running.cursor["parts"]) == ("running", 1)
    job = finished(erase(project))
    running.refresh_from_db()
    assert running.state == "cancelled"
    assert not default_storage.exists(exports.folder(running))
    assert running.params["ids"] == []
    assert job.result == {"exports_removed": 0, "exports_cancelled": 1}
    assert "Exports under way that were cancelled: 1." in job.message


def test_an_erasure_waits_for_the_step_an_export_is_in(project: Project) -> None:
    """It was asked to stop while its last step ran: the file comes, and goes."""
    late = start(project)
    run_next_step(late)
    job = erase(project)
    for _ in range(4):
        step = erasure.run_step(job, now=timezone.now())
        job.cursor, job.result = step.cursor, {**job.result, **step.result}
    assert step.message == "Waiting for exports under way to stop"
    assert (step.wait_s, job.result["exports_cancelled"]) == (1, 1)
    Job.objects.filter(pk=late.pk).update(cancel_requested_at=None)  # as its last step saw it
    run_next_step(late)
    assert default_storage.exists(late.result["file"])
    step = erasure.run_step(job, now=timezone.now())
    assert step.cursor is None
    assert step.result == {"exports_removed": 1, "exports_cancelled": 1}
    assert not default_storage.exists(exports.folder(late))
