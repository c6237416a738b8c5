"""Reconciliation by page and by API: figures that lead to their evidence, walls between organisations."""

import csv
import io
from typing import Any

import pytest
from django.test import Client

from core.models import Job
from costs.models import ReconciledCell, ReconciliationRun
from tests.costs.reconciliation.conftest import DAY, make_cell

pytestmark = pytest.mark.django_db
BASE = "/organizations/acme/reconciliation/"
API = "/api/v1/organizations/acme/reconciliation"


@pytest.fixture
def viewer(acme: Any, client_of: Any) -> Client:
    client: Client = client_of(acme.viewer)
    return client


def text(client: Client, url: str, status: int = 200) -> str:
    response = client.get(url)
    assert response.status_code == status, response.content[:300]
    return response.content.decode()


def test_without_a_bill_the_page_leads_to_the_connections(viewer: Client) -> None:
    found = text(viewer, BASE)

    assert "No bill to hold against your records yet" in found
    assert "/organizations/acme/billing/" in found


def test_a_figure_leads_down_to_its_evidence(worked: Any, viewer: Client) -> None:
    grid = text(viewer, BASE)
    assert "Recorded cost explains 87.0%" in grid
    assert f"{BASE}openai/2026-11/" in grid

    month = text(viewer, f"{BASE}openai/2026-11/")
    assert "Calls outside LLMLab" in month
    assert f"{BASE}cells/{worked.cells[0].pk}/" in month

    cell = text(viewer, f"{BASE}cells/{worked.cells[0].pk}/")
    assert "Without key key-cron the bill is what was recorded." in cell
    assert "$25 per 1M instead of $30 per 1M" in cell
    assert "Support bot" in cell
    assert "/billing/lines/?provider=openai" in cell


def test_lists_filter_sort_and_page(worked: Any, viewer: Client, monkeypatch: Any) -> None:
    monkeypatch.setattr("costs.reconciliation.views.PAGE", 1)
    month = f"{BASE}openai/2026-11/"

    first = viewer.get(month, {"sort": "day"}, headers={"HX-Request": "true"})
    assert [one.cell.day for one in first.context["cells"]] == [DAY]
    following = viewer.get(month, {"sort": "day", "after": first.context["after"]})
    assert [one.cell.pk for one in following.context["cells"]] == [worked.cells[1].pk]
    assert following.context["after"] == ""
    for sort in ("-gap", "-billed", "-unexplained", "-day"):
        page = viewer.get(month, {"sort": sort})
        rest = viewer.get(month, {"sort": sort, "after": page.context["after"]})
        assert {page.context["cells"][0].cell.pk, rest.context["cells"][0].cell.pk} == {
            one.pk for one in worked.cells
        }
    assert "No day and model matches" in text(viewer, f"{month}?model=claude")
    assert "No day and model matches" in text(viewer, f"{month}?kind=unexplained")
    assert viewer.get(month, {"kind": "price"}).context["cells"]


@pytest.mark.parametrize(
    "url",
    ["?provider=aws", "?from=2026", "?kind=nonsense", "openai/2026-13/", "openai/2026-11/?day=x",
     "openai/2026-11/?sort=x", "openai/2026-11/?after=x", "prices/?after=-1", "prices/?state=x", "export.csv?month=x"],
)  # fmt: skip
def test_bad_input_is_refused_with_the_field(worked: Any, viewer: Client, url: str) -> None:
    assert viewer.get(BASE + url).status_code == 400


@pytest.mark.parametrize("url", ["cells/999999/", "openai/2020-01/", "aws/2026-11/"])
def test_what_is_not_there_is_not_found(worked: Any, viewer: Client, url: str) -> None:
    assert viewer.get(BASE + url).status_code == 404


def test_the_csv_has_a_column_per_cause(worked: Any, viewer: Client) -> None:
    content = b"".join(viewer.get(f"{BASE}export.csv?month=2026-11").streaming_content).decode()  # type: ignore[attr-defined]
    rows = list(csv.DictReader(io.StringIO(content)))

    assert [(row["day"], row["gap_usd"], row["outside"], row["price"]) for row in rows] == [
        ("2026-11-02", "1.5", "2", "-0.5"),
        ("2026-11-03", "1.5", "2", "-0.5"),
    ]


def test_a_price_the_bill_contradicts_opens_the_form_with_the_bills(
    worked: Any, acme: Any, client_of: Any, viewer: Client
) -> None:
    assert "Verified by bill" in text(viewer, f"{BASE}prices/")
    assert "prices/new/" not in text(viewer, f"{BASE}prices/")
    admin = client_of(acme.admin)
    rows = admin.get(f"{BASE}prices/").context["rows"]
    (url,) = [row["set_url"] for row in rows if row["set_url"]]

    form = admin.get(url).context["form"]
    assert form.initial["price_output"] == "25"
    assert form.initial["price_input"] == "5"
    assert form.initial["valid_from"] == "2026-11-02"


def test_the_mark_stands_on_the_models_page(worked: Any, viewer: Client) -> None:
    url = f"/projects/{worked.project.slug}/models/detail/?provider=openai&model=gpt-5.5"

    assert "Verified by bill" in text(viewer, url)


def test_members_compare_now_viewers_do_not(
    worked: Any, acme: Any, client_of: Any, viewer: Client
) -> None:
    assert viewer.post(f"{BASE}runs/").status_code == 403
    assert not ReconciliationRun.objects.exists()

    assert client_of(acme.member).post(f"{BASE}runs/").status_code == 302
    assert Job.objects.filter(kind="costs.reconcile").count() == 1
    assert "Both ledgers are being compared." in text(viewer, BASE)


def test_other_organisations_see_nothing(
    worked: Any, globex: Any, client_of: Any, client: Client
) -> None:
    stranger = client_of(globex.owner)
    own = make_cell(globex.organization)
    for url in (
        BASE,
        f"{BASE}openai/2026-11/",
        f"{BASE}cells/{own.pk}/",
        f"{BASE}prices/",
        f"{BASE}export.csv",
    ):
        assert stranger.get(url).status_code == 404
        assert client.get(url).status_code == 302
    assert (
        stranger.get(
            f"/organizations/globex/reconciliation/cells/{worked.cells[0].pk}/"
        ).status_code
        == 404
    )
    assert stranger.post(f"{BASE}runs/").status_code == 404
    assert stranger.get(API).status_code == 404
    assert client.get(API).status_code == 401
    assert not Job.objects.exists()


def test_the_api_gives_months_cells_and_prices(worked: Any, viewer: Client) -> None:
    (month,) = viewer.get(API).json()
    assert month["gap_usd"] == "3"
    assert month["causes"] == {"outside": "4", "price": "-1"}
    cells = viewer.get(f"{API}/cells?month=2026-11&kind=price").json()["results"]
    assert [one["causes"][0]["kind"] for one in cells] == ["outside", "outside"]
    assert cells[0]["unexplained_usd"] == "0"
    prices = viewer.get(f"{API}/prices?state=differs").json()["results"]
    assert [one["billed_price_usd"] for one in prices] == ["0.000025"]
    assert viewer.get(f"{API}/cells?month=November").status_code == 400


def test_more_cells_cost_no_more_queries(
    worked: Any, viewer: Client, django_assert_max_num_queries: Any
) -> None:
    for number in range(20):
        make_cell(worked.organization, model=f"model-{number}")
    with django_assert_max_num_queries(13):
        viewer.get(BASE)
    with django_assert_max_num_queries(13):
        viewer.get(f"{BASE}openai/2026-11/")
    with django_assert_max_num_queries(12):
        viewer.get(f"{BASE}cells/{ReconciledCell.objects.latest('pk').pk}/")
    with django_assert_max_num_queries(11):
        viewer.get(f"{BASE}prices/")
