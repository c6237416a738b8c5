"""Pages and API of exports: ask, watch, fetch, link, schedule; other tenants and viewers change nothing."""

import csv
import datetime as dt
import gzip
import io
import re
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
import time_machine
from django.core import signing
from django.test import Client
from django.utils import timezone

from accounts.models import AuditEvent
from core.models import Job
from costs.exporting import links, runs
from costs.focus.check import check_rows
from costs.models import ExportDestination, ExportLink, ExportSchedule
from projects.models import Project
from tests.costs.exporting.ledgers import (
    UNPRICED,
    drain,
    finished,
    line,
    record,
    recorded_sum,
    start,
)
from tests.factories.billing import BilledCostFactory, BillingAccountFactory
from tests.factories.exports import ExportDestinationFactory, ExportScheduleFactory
from tests.factories.projects import ProjectFactory

pytestmark = pytest.mark.django_db
BASE = "/organizations/acme/exports/"
API = "/api/v1/organizations/acme/exports"
NOVEMBER = {"start": "2026-11-01", "end": "2026-11-30"}
JSON = "application/json"


@pytest.fixture
def ledger(shop: Project) -> Project:
    record(shop, line("input", 1000, "0.00000025"), feature="=cmd()", tags=["=evil", "team:a"])
    record(shop, line("output", 7, "0.000002"), user_id="mina")
    record(shop, provider="mystery", **UNPRICED)
    return shop


def text_of(answer: Any) -> str:
    body: bytes = b"".join(answer.streaming_content)
    return body.decode()


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_a_member_asks_watches_and_fetches(
    acme: SimpleNamespace, ledger: Project, client_of: Any
) -> None:
    client = client_of(acme.member)
    assert "No exports yet" in client.get(BASE).content.decode()
    form = {"kind": "focus", "format": "csv-machine", "version": "1.3", **NOVEMBER}
    asked = client.post(BASE, form)
    job = Job.objects.get(kind=runs.KIND)
    assert (asked.status_code, asked.url) == (302, f"{BASE}{job.pk}/")
    assert "Waiting for a worker" in client.get(asked.url).content.decode()
    finished(job)
    page = client.get(asked.url).content.decode()
    assert "focus-1.3-2026-11.csv.gz" in page
    assert "focus-1.3-2026-11.metadata.json" in page
    reader = client_of(acme.viewer)
    file = reader.get(f"{asked.url}file/?name=focus-1.3-2026-11.csv.gz")
    assert file["Content-Disposition"] == 'attachment; filename="focus-1.3-2026-11.csv"'
    rows = table(text_of(file))
    assert sum(Decimal(row["BilledCost"]) for row in rows) == recorded_sum(ledger)
    assert {row["x_Feature"] for row in rows} == {"=cmd()", ""}  # for programs: as it is
    packed = reader.get(f"{asked.url}file/?name=focus-1.3-2026-11.csv.gz&gz=1")
    assert gzip.decompress(b"".join(packed.streaming_content)).startswith(b"BilledCost,")
    assert reader.get(f"{asked.url}file/?name=other").status_code == 404
    assert client.post(f"{asked.url}removal/").status_code == 302
    assert not Job.objects.filter(pk=job.pk).exists()


@pytest.mark.parametrize("kind", ["focus", "records", "daily"])
def test_spreadsheets_run_no_formula(acme: SimpleNamespace, ledger: Project, kind: str) -> None:
    job = finished(start(acme.organization, kind, "csv", "start=2026-11-01&end=2026-11-30"))
    from costs.exporting.views import file_response

    rows = table(text_of(file_response(job, "")))
    cells = [cell for row in rows for cell in row.values()]
    assert not any(cell.startswith(("=", "@", "+")) for cell in cells)
    if kind == "focus":
        assert "'=cmd()" in cells


def test_every_source_keeps_every_digit(acme: SimpleNamespace, ledger: Project) -> None:
    from tests.costs.exporting.ledgers import rows_of

    account = BillingAccountFactory(connection__organization=acme.organization)
    for number in range(3):
        BilledCostFactory(account=account, amount=Decimal(f"0.00000000000000000{number + 1}"))
    found = {
        kind: rows_of(finished(start(acme.organization, kind)))
        for kind in ("records", "daily", "billed")
    }
    assert sum(Decimal(row["cost_usd"] or 0) for row in found["records"]) == recorded_sum(ledger)
    assert sum(Decimal(row["cost_usd"] or 0) for row in found["daily"]) == recorded_sum(ledger)
    assert [row["cost_usd"] for row in found["daily"] if row["unpriced_calls"]] == [None]
    assert sum(Decimal(row["amount"]) for row in found["billed"]) == Decimal("0.000000000000000006")


def test_pages_of_one_row_lose_none(
    acme: SimpleNamespace, ledger: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.costs.exporting.ledgers import rows_of

    other = ProjectFactory(organization=acme.organization, slug="other")
    record(other, line("input", 1, "1"))
    account = BillingAccountFactory(connection__organization=acme.organization)
    BilledCostFactory.create_batch(3, account=account)
    monkeypatch.setattr("projects.exports.job.PAGE", 1)
    counts = {"records": 4, "daily": 4, "billed": 3}
    for kind, count in counts.items():
        rows = rows_of(finished(start(acme.organization, kind)))
        assert len({str(row) for row in rows}) == len(rows) == count, kind
    only = rows_of(
        finished(start(acme.organization, "records", query=f"start=2026-11-01&projects={other.pk}"))
    )
    assert [row["project"] for row in only] == ["other"]


def test_a_link_works_for_anyone_until_it_ends(
    acme: SimpleNamespace, ledger: Project, client_of: Any
) -> None:
    job = finished(start(acme.organization, "focus", "csv"))
    name = "focus-1.2-2026-11.csv.gz"
    client = client_of(acme.member)
    made = client.post(f"{BASE}{job.pk}/links/", {"file": name, "expires_in": "24h"})
    assert made.status_code == 201
    found = re.search(r'id="new-link" href="[^"]*(/exports/files/[^"]+)"', made.content.decode())
    assert found is not None
    path = found[1]
    stranger = Client()
    file = stranger.get(path)
    assert (file.status_code, file["Referrer-Policy"]) == (200, "no-referrer")
    assert file["Cache-Control"] == "no-store, private"
    assert len(table(text_of(file))) == 2
    link = ExportLink.objects.get()
    assert link.download_count == 1
    actions = list(AuditEvent.objects.values_list("action", flat=True))
    assert {"export.link_created", "export.link_used"} <= set(actions)
    token = path.split("/")[-2]
    for wrong in (token[:-1] + ("a" if token[-1] != "a" else "b"), "x", f"{link.pk}"):
        assert stranger.get(f"/exports/files/{wrong}/").status_code == 404
    forged = signing.TimestampSigner(salt="other").sign_object(str(link.pk))
    assert stranger.get(f"/exports/files/{forged}/").status_code == 404
    with time_machine.travel(timezone.now() + dt.timedelta(hours=25)):
        assert stranger.get(path).status_code == 404
    assert stranger.get(path).status_code == 200
    client.post(f"{BASE}links/{link.pk}/revocation/")
    gone = stranger.get(path)
    assert (gone.status_code, gone["Referrer-Policy"]) == (404, "no-referrer")
    assert "leads to no file" in gone.content.decode()


def test_a_link_is_taken_only_so_often_and_ends_with_its_file(
    acme: SimpleNamespace, ledger: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = finished(start(acme.organization, "focus", "csv"))
    link = links.create_link(
        job=job, file_name="", expires_in="7d", now=timezone.now(), actor=acme.member.user
    )
    path = links.address_of(link).partition("//")[2].partition("/")[2]
    monkeypatch.setattr("costs.exporting.views.LINK_PER_MINUTE", 2)
    states = [Client().get(f"/{path}").status_code for _ in range(3)]
    assert states == [200, 200, 429]
    runs.remove_export(job=job, actor=acme.member.user)
    monkeypatch.setattr("costs.exporting.views.LINK_PER_MINUTE", 100)
    assert Client().get(f"/{path}").status_code == 404


def test_the_api_does_it_all(acme: SimpleNamespace, ledger: Project, client_of: Any) -> None:
    client = client_of(acme.member)
    asked = client.post(API, {"kind": "daily", "format": "jsonl", **NOVEMBER}, content_type=JSON)
    assert asked.status_code == 202
    url = f"{API}/{asked.json()['id']}"
    assert client.get(f"{url}/file").status_code == 404
    drain()
    done = client.get(url).json()
    assert (done["state"], done["rows"], done["files"][0]["rows"]) == ("done", 3, 3)
    assert len(text_of(client.get(f"{url}/file")).splitlines()) == 3
    listed = client.get(f"{API}?kind=daily&state=done&limit=1").json()
    assert [one["id"] for one in listed["results"]] == [done["id"]]
    link = client.post(f"{url}/links", {"expires_in": "1h"}, content_type=JSON).json()
    assert Client().get(link["url"].replace("http://testserver", "")).status_code in (200, 404)
    assert client.get(f"{url}/links").json()[0]["url"] is None
    assert client.delete(f"{API}/links/{link['id']}").status_code == 204
    assert client.get(f"{url}/links").json() == []
    assert client.post(f"{url}/retry").status_code == 409
    assert client.delete(url).status_code == 204
    for body, field in (
        ({"kind": "traces"}, "kind"),
        ({"kind": "daily", "start": "yesterday"}, "start"),
        ({"kind": "daily", "format": "jsonl", "flavour": "machine"}, "flavour"),
        ({"kind": "daily", "colour": "blue"}, "colour"),
    ):
        refused = client.post(API, body, content_type=JSON)
        assert (refused.status_code, refused.json()["fields"][:1]) in (
            (400, [field]),
            (400, {field: 1}),
        )


@pytest.mark.parametrize("version", ["1.0", "1.2", "1.3"])
def test_focus_is_streamed_while_it_is_read(
    acme: SimpleNamespace, ledger: Project, client_of: Any, version: str
) -> None:
    client = client_of(acme.viewer)
    answer = client.get(f"{API}/focus?version={version}&start=2026-10-01&end=2026-11-30&format=csv")
    assert answer["Content-Type"].startswith("text/csv")
    text = text_of(answer)
    rows = table(text)
    names = text.splitlines()[0].split(",")
    assert sum(Decimal(row["BilledCost"]) for row in rows) == recorded_sum(ledger)
    values = [{name: value or None for name, value in row.items()} for row in rows]
    assert list(check_rows(names, values, version)) == []
    lines = text_of(client.get(f"{API}/focus?start=2026-11-01&end=2026-11-30&format=jsonl"))
    assert len(lines.splitlines()) == len(rows)
    long = client.get(f"{API}/focus?start=2026-01-01&end=2026-11-30")
    assert (long.status_code, long.json()["fields"]) == (400, ["start", "end"])
    assert client.get(f"{API}/focus?format=xml").status_code in (400, 404)


def test_schedules_and_destinations_by_page_and_api(
    acme: SimpleNamespace, ledger: Project, client_of: Any
) -> None:
    admin, member = client_of(acme.admin), client_of(acme.member)
    bucket = {"name": "Lake", "bucket": "exports", "access_key_id": "key", "secret": "hush",
              "endpoint_url": "https://127.0.0.1:9"}  # fmt: skip
    refused = admin.post(f"{BASE}destinations/new/", bucket)
    assert refused.status_code == 422
    assert "private or reserved address" in refused.content.decode()
    made = admin.post(
        f"{API}/destinations", {**bucket, "endpoint_url": "https://s3.invalid"}, content_type=JSON
    )
    assert made.status_code == 201
    assert "hush" not in made.content.decode()
    checked = admin.post(f"{API}/destinations/{made.json()['id']}/check").json()
    assert checked["status"] == "error"
    assert checked["status_message"].startswith("Lake:")
    assert "Lake:" in member.get(f"{BASE}destinations/").content.decode()
    form = {"name": "Nightly", "kind": "focus", "format": "parquet", "first_day": "2026-11-01",
            "is_incremental": "on", "frequency": "daily", "hour": "3", "weekday": "0",
            "month_day": "1", "time_zone": "UTC"}  # fmt: skip
    assert member.post(f"{BASE}schedules/new/", form).status_code == 302
    one = ExportSchedule.objects.get()
    assert (one.version, one.next_run_at is not None) == ("1.2", True)
    body = {"name": "Nightly", "kind": "records", "format": "jsonl", "first_day": "2026-11-01"}
    taken = member.post(f"{API}/schedules", body, content_type=JSON)
    assert (taken.status_code, taken.json()["fields"]) == (409, ["name"])
    changed = member.put(f"{API}/schedules/{one.pk}", body, content_type=JSON)
    assert changed.json()["kind"] == "records"
    assert member.post(f"{BASE}schedules/{one.pk}/pause/", {"paused": "1"}).status_code == 302
    assert "Paused" in member.get(f"{BASE}schedules/").content.decode()
    run = member.post(f"{API}/schedules/{one.pk}/run")
    assert run.status_code == 202
    drain()
    page = member.get(f"{BASE}schedules/{one.pk}/").content.decode()
    assert "Export all cost records as JSON Lines" in page
    assert member.post(f"{API}/schedules/{one.pk}/run").status_code == 204
    assert member.delete(f"{API}/schedules/{one.pk}").status_code == 204


def test_a_foreign_destination_or_project_is_not_there(
    acme: SimpleNamespace, globex: SimpleNamespace, client_of: Any
) -> None:
    place = ExportDestinationFactory(organization=globex.organization)
    foreign = ProjectFactory(organization=globex.organization)
    client = client_of(acme.member)
    for more in ({"destination": str(place.pk)}, {"projects": [str(foreign.pk)]}):
        answer = client.post(API, {"kind": "records", **more}, content_type=JSON)
        assert answer.status_code == 404
    assert not Job.objects.exists()


def test_others_viewers_and_nobody_change_nothing(
    acme: SimpleNamespace, globex: SimpleNamespace, ledger: Project, client_of: Any
) -> None:
    job = finished(start(acme.organization, "focus", "csv"))
    schedule = ExportScheduleFactory(organization=acme.organization)
    place = ExportDestinationFactory(organization=acme.organization)
    posts = [
        BASE, f"{BASE}{job.pk}/links/", f"{BASE}{job.pk}/removal/", f"{BASE}schedules/new/",
        f"{BASE}schedules/{schedule.pk}/run/", f"{BASE}schedules/{schedule.pk}/removal/",
        f"{BASE}destinations/new/", f"{BASE}destinations/{place.pk}/removal/",
    ]  # fmt: skip
    for path in posts:
        assert client_of(acme.viewer).post(path, {"kind": "focus"}).status_code == 403, path
        assert client_of(globex.owner).post(path, {"kind": "focus"}).status_code == 404, path
        assert Client().post(path).url.startswith("/accounts/login/"), path
    assert client_of(globex.owner).get(f"{BASE}{job.pk}/file/").status_code == 404
    assert client_of(globex.owner).get(f"{API}/focus").status_code == 404
    counts = [Job.objects.count(), ExportLink.objects.count(), ExportSchedule.objects.count()]
    assert [*counts, ExportDestination.objects.count()] == [1, 0, 1, 1]


def test_lists_stay_cheap(
    acme: SimpleNamespace, client_of: Any, django_assert_max_num_queries: Any
) -> None:
    client = client_of(acme.viewer)
    for number in range(6):
        ExportScheduleFactory(organization=acme.organization, name=f"S{number}")
        Job.objects.create(
            kind=runs.KIND, title="x", organization_id=acme.organization.pk,
            params={"kind": "focus", "format": "csv"},
        )  # fmt: skip
    for path in (BASE, f"{BASE}schedules/", f"{BASE}destinations/"):
        with django_assert_max_num_queries(12):
            assert client.get(path).status_code == 200
    assert client.get(f"{BASE}?state=lost").status_code == 400
    assert client.get(f"{BASE}?before=x").status_code == 400


def test_persons_erased_leave_the_organisations_records_too(
    acme: SimpleNamespace, ledger: Project
) -> None:
    from projects.exports import withdrawal

    named = finished(start(acme.organization, "records"))
    sums = finished(start(acme.organization, "daily"))
    found = withdrawal.withdraw_exports(
        project_id=ledger.pk, before=timezone.now(), now=timezone.now()
    )
    assert found.removed == 1
    for job, has_file in ((named, False), (sums, True)):
        job.refresh_from_db()
        assert ("files" in job.result) is has_file
