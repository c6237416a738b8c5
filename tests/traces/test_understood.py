"""The page "What we understood": a bounded ring of samples, under the project's rules, for every door."""

import datetime as dt

import pytest
from django.test import Client
from django.utils import timezone

from benchmarks.traffic import attribute
from projects.models import Project
from tests.factories.projects import ProjectFactory
from tests.traces.langfuse_events import created, ended, send
from tests.traces.spans import context_for, span
from tests.traces.uploads import (
    call_span,
    key_for,
    login_as,
    otlp,
    send_json,
    send_otlp,
    step,
    trace,
)
from traces.ingest import samples
from traces.models import IngestSample
from traces.payloads import is_plain
from traces.selectors.samples import SampleFilters, sample_page

pytestmark = pytest.mark.django_db
SECRET = "mail bob@example.com"


@pytest.fixture(autouse=True)
def _now() -> None:
    samples._last.clear()


def odd_span(number: int = 1) -> bytes:
    call = call_span(number)
    call.attributes.append(attribute("my.own", SECRET))
    return otlp(call)


def test_raw_beside_understood(client: Client, project: Project, key: str) -> None:
    send_otlp(client, key, odd_span())
    [one], has_more = sample_page(project, SampleFilters())
    assert not has_more
    assert (one.row.door, one.row.dialect, one.row.has_ignored) == ("otlp", "gen_ai", True)
    assert one.data["raw"]["my.own"] == SECRET
    assert one.data["fields"]["request_model"] == "gpt-5-mini"
    assert "gen_ai.request.model" in one.data["consumed"]
    assert [key for key, _ in one.data["ignored"]] == ["my.own"]
    login_as(client, project)
    page = client.get(f"/projects/{project.slug}/ingestion/understood/?dialect=gen_ai&ignored=1")
    assert SECRET in page.content.decode()
    other = client.get(f"/projects/{project.slug}/ingestion/understood/?dialect=mlflow")
    assert "Nothing matches" in other.content.decode()
    assert (
        client.get(f"/projects/{project.slug}/ingestion/understood/?before=x~y").status_code == 200
    )


def test_long_values_are_folded_to_their_beginning(
    client: Client, project: Project, key: str
) -> None:
    call = call_span(1)
    call.attributes.append(attribute("my.long", "word " * 100))
    call.attributes.append(attribute("my.lines", "a\n" * 5))
    call.attributes.append(attribute("my.short", "w" * 240))
    send_otlp(client, key, otlp(call))
    login_as(client, project)
    page = client.get(f"/projects/{project.slug}/ingestion/understood/")
    [line] = page.context["lines"]
    found = {one["key"]: (one["brief"], one["length"]) for one in line["attributes"]}
    assert found["my.long"] == (("word " * 24), 500)
    assert found["my.lines"] == ("a\n" * 5, 10)
    assert found["my.short"] == ("", 240)
    text = page.content.decode()
    assert '<details class="long-value"><summary><span>word word' in text
    assert "500 characters" in text


def test_json_and_langfuse(client: Client, project: Project, key: str) -> None:
    send_json(client, key, project, {"traces": [trace("t9", step("s1", colour="red"))]})
    [one], _ = sample_page(project, SampleFilters())
    assert (one.row.door, [key for key, _ in one.data["ignored"]]) == ("json", ["colour"])
    IngestSample.objects.filter(project=project).delete()
    samples._last.clear()
    send(client, key, created(htmlPath="/x"), ended())
    page, _ = sample_page(project, SampleFilters())
    assert [(o.row.door, o.row.dialect) for o in page] == [("langfuse", "langfuse")] * 2
    assert [o.data["ignored"] for o in page][-1] == [
        ["htmlPath", "an address of Langfuse's own pages"]
    ]


@pytest.mark.parametrize("mode", ["off", "masked", "plain", "encrypted"])
def test_the_projects_rules_hold(client: Client, project: Project, key: str, mode: str) -> None:
    Project.objects.filter(pk=project.pk).update(content_capture=mode)
    send_otlp(client, key, odd_span())
    [one], _ = sample_page(project, SampleFilters())
    kept = one.data["raw"]["my.own"]
    assert (kept == SECRET) is (mode in ("plain", "encrypted"))
    assert (kept == samples.NOT_KEPT) is (mode == "off")
    row = IngestSample.objects.get(project=project)
    assert is_plain(row.data) is (mode in ("plain", "masked"))


def test_one_upload_in_two_seconds_and_the_newest_hundred(
    client: Client, project: Project, key: str
) -> None:
    for number in range(1, 4):
        send_otlp(client, key, odd_span(number))
    assert IngestSample.objects.filter(project=project).count() == 1
    context = context_for(project)
    now = timezone.now()
    for number in range(150):
        kept = samples.Keeper()
        kept.keep_read({"a": 1}, span("s"), {})
        samples.store(kept, context, now=now + dt.timedelta(seconds=3 * number + 3))
    assert IngestSample.objects.filter(project=project).count() == samples.KEPT
    first, has_more = sample_page(project, SampleFilters())
    assert (len(first), has_more) == (20, True)


def test_other_tenants_see_nothing(client: Client, project: Project, key: str) -> None:
    send_otlp(client, key, odd_span())
    other = ProjectFactory()
    key_for(other)
    login_as(client, other)
    assert client.get(f"/projects/{project.slug}/ingestion/understood/").status_code == 404
    assert (
        SECRET not in client.get(f"/projects/{other.slug}/ingestion/understood/").content.decode()
    )
