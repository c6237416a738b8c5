"""The FOCUS export: sums equal to the ledgers' to the last digit, one source a period, files that conform."""

import datetime as dt
import json
from decimal import Decimal
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from core.errors import DomainError
from costs.focus import recorded
from costs.focus.check import check_file
from costs.models import CostRecord, PriceStatus
from projects.exports import job as engine
from projects.models import Project
from tests.costs.exporting.ledgers import (
    DAY,
    UNPRICED,
    content,
    finished,
    line,
    record,
    recorded_sum,
    rows_of,
    start,
)
from tests.costs.repricing import discount, save
from tests.factories.billing import BilledCostFactory, BillingAccountFactory, ProviderSyncFactory
from tests.factories.projects import ApiKeyFactory, ProjectFactory

pytestmark = pytest.mark.django_db
LINES = [
    line("input", 1000, "0.0000003750000001"),
    line("cache_read", 333, "0.0000000312500007"),
    line("output", 77, "0.000002"),
]


def billed(rows: list[dict[str, Any]]) -> Decimal:
    return sum((Decimal(row["BilledCost"]) for row in rows), Decimal(0))


def conforms(job: Any) -> None:
    for file in job.result["files"]:
        if not file["name"].endswith(".json"):
            path = Path(default_storage.path(file["file"]))
            version = "1.2" if "-1.2-" in path.name else path.name.split("-")[1]
            assert list(check_file(path, version)) == []


def test_rows_are_sums_of_calls_with_every_digit(acme: SimpleNamespace, shop: Project) -> None:
    key = ApiKeyFactory(project=shop, name="prod")
    rule = save(shop, discount("15"))
    for tags in (["team:support"], ["team:support"], ["gold"]):
        record(shop, *LINES, tags=tags, feature="chat", api_key_id=key.pk)
    record(shop, line("input", 1000, "0.00000425"), price_source=f"x, discount #{rule.number}")
    record(shop, line("input", 10, "0.000005"), is_list=True, environment="dev")
    record(shop, *LINES, price_status="client", cost_usd=Decimal("0.5"))
    record(shop, price_status="free", cost_usd=Decimal(0), input_tokens=12, output_tokens=0)
    record(shop, provider="mystery", **UNPRICED)
    job = finished(start(acme.organization))
    rows = rows_of(job)
    assert billed(rows) == recorded_sum(shop)
    conforms(job)
    support = [row for row in rows if '"team":"support"' in (row["Tags"] or "")]
    assert [row["x_TokenType"] for row in sorted(support, key=lambda row: row["x_TokenType"])] == [
        "cached_input",
        "input",
        "output",
    ]
    first = next(row for row in support if row["x_TokenType"] == "input")
    assert (first["ConsumedQuantity"], first["PricingQuantity"]) == ("2000", "0.002")
    assert (first["ResourceId"], first["ResourceName"]) == (str(key.pk), "prod")
    assert sum(row["x_RequestCount"] or 0 for row in rows) == 7
    cheaper = next(row for row in rows if row["ContractedUnitPrice"] == "4.25")
    assert (cheaper["ListUnitPrice"], cheaper["ListCost"]) == ("5", "0.005")
    stated = next(row for row in rows if row["x_CostBasis"] == "client")
    assert (stated["BilledCost"], stated["PricingUnit"]) == ("0.5", "Charges")
    facts = json.loads(content(job, "focus-1.2-2026-11.metadata.json"))
    assert (facts["FocusVersion"], facts["UnpricedCalls"], facts["Rows"]) == ("1.2", 1, len(rows))
    assert (job.done, job.total) == (8, 8)


@examples(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    calls=st.lists(
        st.tuples(
            st.lists(
                st.tuples(
                    st.sampled_from(["input", "output", "cache_read", "web_search"]),
                    st.integers(0, 10**7),
                    st.decimals(0, 1, places=17),
                ),
                max_size=4,
                unique_by=lambda one: one[0],
            ),
            st.sampled_from(PriceStatus.values),
            st.sampled_from([None, [], ["a:b"], ["c"]]),
            st.integers(0, 40),
            st.sampled_from(["openai", "anthropic", ""]),
        ),
        max_size=8,
    ),
    slices=st.integers(1, 3),
)
def test_any_ledger_is_exported_to_the_last_digit(
    acme: SimpleNamespace, shop: Project, calls: list[Any], slices: int
) -> None:
    """Each call that no bill speaks for is in a row or in the count of those without a price, once."""
    CostRecord.objects.filter(project=shop).delete()
    first, end = DAY, DAY + dt.timedelta(days=2)
    spans = {"anthropic": [(DAY + dt.timedelta(hours=12), DAY + dt.timedelta(hours=30))]}
    for lines, status, tags, hours, provider in calls:
        made = [line(kind, quantity, f"{price:f}") for kind, quantity, price in lines]
        at = DAY + dt.timedelta(hours=hours)
        cost = {"cost_usd": None} if status == PriceStatus.UNPRICED else {}
        record(
            shop, *made, price_status=status, tags=tags, occurred_at=at, provider=provider, **cost
        )
    own = CostRecord.objects.filter(project=shop).exclude(
        provider="anthropic",
        occurred_at__gte=spans["anthropic"][0][0],
        occurred_at__lt=spans["anthropic"][0][1],
    )
    found = [
        charge
        for day in (first.date(), first.date() + dt.timedelta(days=1))
        for part in range(slices)
        for charge in recorded.recorded_charges(shop, day, spans, part=part, parts=slices)
    ]
    amounts = [cost for cost in own.values_list("cost_usd", flat=True) if cost is not None]
    assert sum((one.amount for one in found), Decimal(0)) == sum(amounts, Decimal(0))
    assert sum(one.calls or 0 for one in found) == len(amounts)
    unpriced = recorded.unpriced_calls([shop.pk], first, end, spans)
    assert unpriced == own.count() - len(amounts)
    assert all(-one.amount.as_tuple().exponent <= 12 for one in found)


def test_slices_projects_and_steps_change_nothing(
    acme: SimpleNamespace, shop: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = ProjectFactory(organization=acme.organization, slug="search")
    foreign = ProjectFactory(slug="foreign")
    for number in range(9):
        at = DAY + dt.timedelta(days=number % 3, hours=5)
        for project in (shop, other, foreign):
            record(project, *LINES, tags=[f"n:{number}"], occurred_at=at)
    for number in range(5):
        BilledCostFactory(
            account=BillingAccountFactory(connection__organization=acme.organization)
            if number == 0
            else BillingAccountFactory._meta.model.objects.get(),
            provider="anthropic",
            amount=Decimal(number),
        )
    whole = finished(start(acme.organization))
    monkeypatch.setattr(recorded, "SLICE_CALLS", 1)
    monkeypatch.setattr(engine, "PAGE", 2)
    monkeypatch.setattr(engine, "STEP_BYTES", 1)
    sliced = finished(start(acme.organization))
    in_order = [sorted(map(str, rows_of(job))) for job in (whole, sliced)]
    assert in_order[0] == in_order[1]
    assert billed(rows_of(sliced)) == recorded_sum(shop, other) + 10
    assert (sliced.done, sliced.total) == (23, 23)


def test_where_a_bill_was_read_only_its_lines_count(acme: SimpleNamespace, shop: Project) -> None:
    account = BillingAccountFactory(
        connection__organization=acme.organization, connection__name="Main", time_zone="UTC"
    )
    ProviderSyncFactory(
        account=account, first_day=dt.date(2026, 11, 10), end_day=dt.date(2026, 11, 30),
        next_day=dt.date(2026, 11, 18),
    )  # fmt: skip
    for day in (9, 10, 17, 18):
        at = dt.datetime(2026, 11, day, 23, tzinfo=dt.UTC)
        record(shop, line("input", 1, "1"), occurred_at=at)
        record(shop, line("input", 1, "5"), occurred_at=at, provider="anthropic")
    BilledCostFactory(
        account=account, day=dt.date(2026, 11, 12), amount=Decimal("7.000000000000000001")
    )
    BilledCostFactory(
        account=account, day=dt.date(2026, 11, 12), amount=Decimal(-2), category="credit",
        quantity=None, unit="",
    )  # fmt: skip
    BilledCostFactory(account=account, day=dt.date(2026, 11, 13), is_allocated=True, currency="EUR")
    job = finished(start(acme.organization))
    rows = rows_of(job)
    by_source = {
        name: billed([row for row in rows if row["x_CostSource"] == name])
        for name in ("sdk", "billed", "allocated")
    }
    # Recorded: OpenAI on the 9th and 18th, Anthropic everywhere.
    assert by_source["sdk"] == 2 + 20
    assert by_source["billed"] == Decimal("5.000000000000000001")
    assert by_source["allocated"] == Decimal("1.25")
    credit = next(row for row in rows if row["ChargeCategory"] == "Credit")
    assert (credit["ConsumedQuantity"], credit["BillingAccountName"]) == (None, "Main")
    assert {row["BillingCurrency"] for row in rows} == {"USD", "EUR"}
    conforms(job)
    facts = json.loads(content(job, "focus-1.2-2026-11.metadata.json"))
    assert facts["BilledPeriods"] == {"openai": [["2026-11-10T00:00:00Z", "2026-11-18T00:00:00Z"]]}


@pytest.mark.parametrize("version", ["1.0", "1.2", "1.3"])
@pytest.mark.parametrize("format_name", ["csv", "parquet"])
def test_each_month_is_a_file_that_conforms(
    acme: SimpleNamespace, shop: Project, version: str, format_name: str
) -> None:
    for month in (10, 11):
        at = dt.datetime(2026, month, 5, tzinfo=dt.UTC)
        record(shop, *LINES, occurred_at=at, tags=["=cmd()", "team:a"])
    query = f"start=2026-10-01&end=2026-11-30&version={version}"
    job = finished(
        start(acme.organization, "focus", format_name, query, is_machine=format_name == "csv")
    )
    suffix = "csv.gz" if format_name == "csv" else format_name
    names = [f"focus-{version}-2026-{month}" for month in (10, 11)]
    assert [file["name"] for file in job.result["files"]] == [
        f"{name}.{end}" for name in names for end in (suffix, "metadata.json")
    ]
    conforms(job)
    path = default_storage.path(job.result["files"][2]["file"])
    out = StringIO()
    call_command("check_focus", path, stdout=out)
    assert f"conforms to FOCUS {version}" in out.getvalue()
    if format_name == "parquet":
        found = duckdb.execute(
            "SELECT typeof(BilledCost), sum(BilledCost) FROM read_parquet(?) GROUP BY 1", [path]
        ).fetchall()
        assert found == [("DECIMAL(38,18)", recorded_sum(shop) / 2)]


def test_the_command_says_what_does_not_conform(tmp_path: Path) -> None:
    path = tmp_path / "bill.csv"
    path.write_text("BilledCost,Oops\r\n1;0,2\r\n")
    with pytest.raises(CommandError, match="does not conform"):
        call_command("check_focus", str(path), stdout=StringIO())
    with pytest.raises(CommandError, match="is no file"):
        call_command("check_focus", str(tmp_path / "none.csv"))


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("version=2.0", "version is '2.0'; it must be one of 1.0, 1.2, 1.3"),
        ("start=2026-13-01", "start is '2026-13-01'; it must be a day"),
        ("start=2026-11-02&end=2026-11-01", "must not be after end"),
        ("start=2000-01-01&end=2026-11-01", "at most 1100"),
        ("colour=blue", "no such parameter"),
        ("only=november", "only names 'november'"),
        ("range=7y", "range is '7y'"),
    ],
)
def test_questions_that_cannot_be_read_are_refused(
    acme: SimpleNamespace, query: str, words: str
) -> None:
    with pytest.raises(DomainError, match=words):
        start(acme.organization, query=query)
