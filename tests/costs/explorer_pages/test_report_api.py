"""Reports through the API: the pages' rules, the explorer's answer."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client

from costs.models import CostReport, ReportSchedule
from tests.costs.explorer_pages.conftest import RANGE
from tests.factories.reports import CostReportFactory

pytestmark = pytest.mark.django_db
URL = "/api/v1/organizations/acme/reports"


def send(client: Client, method: str, url: str, data: Any = None) -> tuple[int, Any]:
    answer = getattr(client, method)(url, json.dumps(data), content_type="application/json")
    return answer.status_code, json.loads(answer.content or "null")


def test_a_report_is_saved_answered_changed_and_deleted(place: SimpleNamespace) -> None:
    query = f"range={RANGE}&by=model"
    status, made = send(place.member, "post", URL, {"name": "Models", "query": query})
    assert status == 201
    assert made["author"] == "member@acme.example"
    url = f"{URL}/{made['id']}"
    answer = place.member.get(f"{url}/answer").json()
    explored = place.member.get(f"/api/v1/organizations/acme/costs/explore?{query}").json()
    assert answer["results"] == explored["results"]
    assert answer["total"]["values"]["cost_usd"] == "8.500000000001"
    assert place.member.get(f"{url}/answer?format=csv").content.startswith(b"model,cost_usd")
    assert place.viewer.get(url).status_code == 404
    assert send(place.member, "patch", url, {"is_shared": True})[1]["is_shared"] is True
    assert [one["name"] for one in place.viewer.get(URL).json()["results"]] == ["Models"]
    assert send(place.viewer, "patch", url, {"name": "x"})[0] == 403
    assert place.member.delete(url).status_code == 204
    assert not CostReport.objects.exists()


def test_bad_reports_are_refused_in_words(place: SimpleNamespace) -> None:
    for data, named in (
        ({"name": "x", "query": "by=colour"}, "by"),
        ({"name": "x", "question": ""}, "question"),
        ({"query": "by=model"}, "name"),
        ({"name": "x", "query": "range=" + "9" * 8000}, "query"),
    ):
        status, answer = send(place.member, "post", URL, data)
        assert status == 400, data
        assert named in json.dumps(answer), data
    assert send(place.viewer, "post", URL, {"name": "x"})[0] == 403
    assert not CostReport.objects.exists()


def test_a_schedule_is_set_read_sent_and_removed(
    place: SimpleNamespace, globex: SimpleNamespace
) -> None:
    report = CostReportFactory.create(
        organization=place.organization, author=place.acme.member.user
    )
    url = f"{URL}/{report.pk}/schedule"
    assert place.member.get(url).status_code == 404
    data = {"frequency": "monthly", "recipients": [str(place.acme.viewer.user_id)]}
    assert send(place.member, "put", url, data | {"recipients": [str(globex.owner.user_id)]})[0] == 400  # fmt: skip
    assert send(place.member, "put", url, data | {"hour": 24})[0] == 400
    assert not ReportSchedule.objects.exists()
    status, made = send(place.member, "put", url, data)
    assert (status, made["recipients"]) == (200, data["recipients"])
    assert made["covers"] == "before"
    assert place.member.get(url).json() == made
    sendings = f"{URL}/{report.pk}/sendings"
    assert send(place.member, "post", sendings) == (202, {"recipients": 1})
    assert send(place.member, "post", sendings)[0] == 409
    assert place.member.delete(url).status_code == 204
    assert not ReportSchedule.objects.exists()


def test_strangers_and_keys_have_no_reports(
    place: SimpleNamespace, globex: SimpleNamespace
) -> None:
    report = CostReportFactory.create(organization=place.organization, is_shared=True)
    stranger = Client()
    stranger.force_login(globex.owner.user)
    assert stranger.get(URL).status_code == 404
    own = f"/api/v1/organizations/globex/reports/{report.pk}"
    assert stranger.get(own).status_code == 404
    assert stranger.get(f"{own}/answer").status_code == 404
    assert Client().get(URL).status_code == 401
