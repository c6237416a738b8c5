"""Google's plugin against the simulator's BigQuery, over HTTP."""

import base64
import datetime as dt
import json
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from core.http import OutboundClient
from costs.providers.base import CostLine, Permanent, ProviderError, Reading, Retryable
from costs.providers.google import PLUGIN
from costs.providers.google_key import read_key, signed_claim
from costs.providers.registry import plugin_for
from tests.fakes.billing import BillingSimulator

NOW = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)
FIRST, END = dt.date(2026, 11, 1), dt.date(2026, 11, 5)
TABLE = "gcp_billing_export_v1_01AB2C_34DE5F_67890A"


@cache
def private_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def key_file(url: str, **facts: Any) -> str:
    pem = private_key().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return json.dumps(
        {
            "type": "service_account",
            "project_id": "our-project",
            "private_key_id": "k1",
            "private_key": pem.decode(),
            "client_email": "bills@our-project.example",
            "token_uri": f"{url}/google/token",
            **facts,
        }
    )


def charge(day: int = 1, hour: int = 12, **facts: Any) -> dict[str, Any]:
    return {
        "at": dt.datetime(2026, 11, day, hour, tzinfo=dt.UTC),
        "provider": "google",
        "sub_account": "shop-prod",
        "sub_account_name": "Shop",
        "model": "gemini-3.5-flash",
        "token_class": "input",
        "quantity": 4_112_706,
        "amount": Decimal("1.2338118"),
        **facts,
    }


def month() -> list[dict[str, Any]]:
    """Two projects, four days, odd digits, hours on both sides of midnight."""
    return [
        charge(
            day,
            hour,
            sub_account=project,
            token_class=token_class,
            tier=tier,
            context_window="long",
            quantity=1_000 * day + hour,
            amount=Decimal(day * 7 + hour) + Decimal("0.123456789012345678"),
            credits=Decimal("0.000000000000000003") if tier else Decimal(0),
        )
        for day in (1, 2, 3, 4)
        for hour in (9, 12, 23)
        for project in ("shop-prod", "lab")
        for tier in ("", "batch")
        for token_class in ("input", "cache_read", "output")
    ]


class Google:
    """The plugin, pointed at the simulator."""

    def __init__(self, bills: BillingSimulator, client: OutboundClient) -> None:
        self.bills, self.client = bills, client
        self.settings = {"dataset": "billing", "base_url": bills.url, "days": "utc"}
        self.credentials = {"service_account_json": key_file(bills.url)}

    def read(self, first: dt.date = FIRST, end: dt.date = END, **settings: Any) -> Reading:
        return PLUGIN.read(self.client, self.credentials, {**self.settings, **settings}, first, end)

    def only(self, **settings: Any) -> CostLine:
        (line,) = self.read(**settings).costs
        return line

    def refusal(self, **settings: Any) -> ProviderError:
        with pytest.raises(ProviderError) as caught:
            self.read(**settings)
        return caught.value

    def set(self, **state: Any) -> None:
        self.bills.faults(clock=NOW, **state)

    def query(self) -> dict[str, Any]:
        """The body of the query sent last."""
        sent = [one for one in self.bills.received() if one["path"].endswith("/queries")]
        body: dict[str, Any] = sent[-1]["body"]
        return body


@pytest.fixture
def google(bills: BillingSimulator) -> Iterator[Google]:
    with OutboundClient() as client:
        bills.faults(clock=NOW)
        yield Google(bills, client)


def total(lines: list[CostLine]) -> Decimal:
    return sum((line.amount for line in lines), Decimal(0))


def test_a_line_says_what_google_billed(google: Google) -> None:
    google.bills.world(charge(context_window="short", list_amount=Decimal("1.5"), region="global"))
    line = google.only()
    assert (line.day, line.provider, line.source) == (FIRST, "google", "export")
    assert (line.model, line.token_class, line.service_tier) == (
        "gemini-3.5-flash",
        "input",
        "standard",
    )
    assert (line.context_window, line.region) == ("short", "global")
    assert (line.sub_account_id, line.sub_account_name) == ("shop-prod", "Shop")
    assert (line.quantity, line.unit) == (Decimal(4_112_706), "tokens")
    assert (line.amount, line.list_amount) == (Decimal("1.2338118"), Decimal("1.5"))
    assert (line.currency, line.category) == ("USD", "usage")
    assert (
        line.description == "Generate content input token count gemini 3.5 flash short input text"
    )
    assert len(line.sku_id) == 14
    assert plugin_for("google") is PLUGIN


@pytest.mark.parametrize("flags", [[], ["google_slow_jobs"], ["google_labels"]])
def test_all_pages_add_up_to_the_bill(google: Google, flags: list[str]) -> None:
    """Charges and credits over many pages, the job done at once or later: to the last digit."""
    google.bills.world(*month())
    google.set(page_size=7, flags=flags)
    reading = google.read()
    totals = google.bills.totals("google")
    assert total(reading.costs) == Decimal(totals["amounts"]["USD"])
    for day, amount in totals["days"].items():
        assert total([one for one in reading.costs if one.day.isoformat() == day]) == Decimal(
            amount
        )
    for token_class, quantity in totals["quantities"].items():
        of_class = [one for one in reading.costs if one.token_class == token_class]
        assert sum(one.quantity or 0 for one in of_class) == Decimal(quantity)
    # 48 charges and 24 credits; a token, the table's name, the query, its pages, and the second look.
    assert len(reading.costs) == 72
    assert reading.requests == 2 + 11 + ("google_slow_jobs" in flags)


def test_days_are_the_invoices_days_unless_asked_otherwise(google: Google) -> None:
    """Seven in the morning UTC is still the evening before on the west coast, or midnight in summer time."""
    google.bills.world(
        charge(2, 7, amount=Decimal(1)),
        charge(2, 8, amount=Decimal(2)),
        charge(5, 7, amount=Decimal(4)),
        charge(5, 8, amount=Decimal(8)),
    )
    lines = google.read(days="pacific").costs
    assert {line.day.day: line.amount for line in lines} == {
        1: Decimal(1),
        2: Decimal(2),
        4: Decimal(4),
    }
    by_day = {line.day.day: line for line in lines}
    # The clocks go back on 1 November 2026: that day has 25 hours.
    assert by_day[1].starts_at == dt.datetime(2026, 11, 1, 7, tzinfo=dt.UTC)
    assert by_day[1].ends_at == by_day[2].starts_at == dt.datetime(2026, 11, 2, 8, tzinfo=dt.UTC)
    assert PLUGIN.time_zone({}) == "America/Los_Angeles"
    assert PLUGIN.time_zone({"days": "utc"}) == "UTC"
    assert {line.day.day: line.amount for line in google.read().costs} == {2: Decimal(3)}


def test_credits_are_lines_of_their_own(google: Google) -> None:
    google.bills.world(charge(amount=Decimal(0), credits=Decimal("1.25")))
    found = {line.category: line for line in google.read().costs}
    assert found["usage"].amount == Decimal("1.25")
    assert (found["credit"].amount, found["credit"].quantity) == (Decimal("-1.25"), None)
    assert found["credit"].model == "gemini-3.5-flash"
    assert found["credit"].description.endswith("· PROMOTION: Credit")
    assert found["credit"].sku_id == found["usage"].sku_id


def test_taxes_of_the_account_are_read_when_wanted(google: Google) -> None:
    tax = {
        "category": "tax",
        "sub_account": "",
        "sub_account_name": "",
        "model": "",
        "description": "Tax",
    }
    google.bills.world(
        charge(), charge(**tax, amount=Decimal("0.19")), charge(category="adjustment")
    )
    assert {line.category for line in google.read().costs} == {"usage", "adjustment"}
    (line,) = [one for one in google.read(account_charges="yes").costs if one.category == "tax"]
    assert (line.amount, line.model, line.sub_account_id) == (Decimal("0.19"), "", "")
    assert google.query()["queryParameters"][-1]["parameterValue"]["value"] == "true"


def test_late_rows_name_the_invoice_they_are_on(google: Google) -> None:
    late = dt.datetime(2026, 12, 2, tzinfo=dt.UTC)
    google.bills.world(charge(), charge(amount=Decimal("-0.5"), visible_from=late))
    assert google.only().amount == Decimal("1.2338118")
    google.bills.faults(clock=late)
    first, second = sorted(google.read().costs, key=lambda line: len(line.description))
    assert first.amount == Decimal("1.2338118")
    assert second.description.endswith("· invoice 2026-12")
    assert (second.amount, second.day) == (Decimal("-0.5"), FIRST)


def test_a_correction_in_the_month_keeps_the_lines_key(google: Google) -> None:
    google.bills.world(charge(), charge(amount=Decimal("0.5"), visible_from=NOW))
    google.bills.faults(clock=NOW - dt.timedelta(hours=1))
    before = google.only()
    google.set()
    after = google.only()
    assert (after.natural_key, after.amount - before.amount) == (before.natural_key, Decimal("0.5"))


def test_the_billing_currency_and_unknown_models_keep_their_money(google: Google) -> None:
    google.bills.world(
        charge(currency="EUR"),
        charge(description="Generate content input token count gemini 9 omni text"),
    )
    found = {line.currency: line for line in google.read().costs}
    assert found["EUR"].amount == Decimal("1.2338118")
    assert (found["USD"].model, found["USD"].amount) == ("google:unmapped", Decimal("1.2338118"))


def test_the_query_is_bounded_and_typed(google: Google) -> None:
    google.bills.world(charge())
    google.read(days="pacific", location="EU", max_gigabytes="3", dataset="data-project.billing")
    body = google.query()
    assert f"FROM `data-project.billing.{TABLE}` AS t" in body["query"]
    assert (body["useLegacySql"], body["location"]) == (False, "EU")
    assert body["maximumBytesBilled"] == "3000000000"
    google.read(dataset="data-project:billing")
    assert f"FROM `data-project.billing.{TABLE}` AS t" in google.query()["query"]
    google.read(days="pacific")
    body = google.query()
    values = {one["name"]: one["parameterValue"]["value"] for one in body["queryParameters"]}
    assert values == {
        "start": "2026-11-01 07:00:00+00:00",
        "end": "2026-11-05 08:00:00+00:00",
        "zone": "America/Los_Angeles",
        "with_account": "false",
    }


def test_a_named_table_is_not_searched_for(google: Google) -> None:
    google.bills.world(charge())
    reading = google.read(table=f"our-project.billing.{TABLE}")
    assert (len(reading.costs), reading.requests) == (1, 2)


def test_the_claim_is_signed_by_the_key(google: Google) -> None:
    key = read_key(google.credentials["service_account_json"])
    header, claims, signature = signed_claim(key, now=1_793_491_200).split(".")
    private_key().public_key().verify(
        base64.urlsafe_b64decode(signature + "=="),
        f"{header}.{claims}".encode(),
        padding.PKCS1v15(),
        hashes.SHA256(),
    )
    found = json.loads(base64.urlsafe_b64decode(claims + "=="))
    assert found == {
        "iss": "bills@our-project.example",
        "scope": "https://www.googleapis.com/auth/bigquery.readonly",
        "aud": "https://oauth2.googleapis.com/token",
        "iat": 1_793_491_200,
        "exp": 1_793_494_800,
    }


def test_a_token_that_runs_out_is_replaced_once(google: Google) -> None:
    google.bills.world(*month())
    google.set(page_size=50, faults=[{"kind": "status", "status": 401, "path": "/queries/"}])
    assert len(google.read().costs) == 72
    assert [one["path"] for one in google.bills.received()].count("/google/token") == 2


@pytest.mark.parametrize(
    ("fault", "waits"),
    [
        ({"kind": "status", "status": 429, "retry_after": 4}, 4.0),
        ({"kind": "status", "status": 503}, None),
        ({"kind": "garbage"}, None),
    ],
)
@pytest.mark.parametrize("path", ["/queries", "/google/token"])
def test_what_passes_is_tried_again(
    google: Google, fault: dict[str, Any], waits: float | None, path: str
) -> None:
    google.set(faults=[{**fault, "path": path}])
    refusal = google.refusal()
    assert isinstance(refusal, Retryable)
    assert refusal.retry_after_s == waits


def test_answers_that_do_not_add_up_give_nothing(google: Google) -> None:
    google.bills.world(*month())
    google.set(flags=["google_lost_row"])
    assert "72 rows and sent 71" in google.refusal().message
    google.set(flags=["google_never_done"])
    assert isinstance(google.refusal(), Retryable)
    google.set(page_size=5, faults=[{"kind": "loop", "path": "/queries", "times": -1}])
    assert "circle" in google.refusal().message


@pytest.mark.parametrize(
    ("settings", "code", "words"),
    [
        ({"dataset": "missing"}, "not_found", "hours to appear"),
        ({"dataset": "empty"}, "not_found", "holds no billing export yet"),
        ({"dataset": "two"}, "refused", "0F0F0F_0F0F0F_0F0F0F"),
        ({"dataset": "x`; DROP"}, "refused", "dataset"),
        ({"table": "gcp_billing_export_v1_missing"}, "not_found", "hours to appear"),
        ({"project": "forbidden"}, "forbidden", "BigQuery Job User"),
        ({"max_gigabytes": "0"}, "refused", "gigabytes"),
        ({"base_url": "http://10.0.0.1"}, "address_refused", "LLMLAB_OUTBOUND_ALLOW"),
    ],
)
def test_refusals_say_what_to_do(
    google: Google, settings: dict[str, str], code: str, words: str
) -> None:
    refusal = google.refusal(**settings)
    assert isinstance(refusal, Permanent)
    assert refusal.code == code
    assert words in refusal.message


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"client_email": "deleted@our-project.example"}, "unauthorized", "clock"),
        ({"type": "authorized_user"}, "refused", "service_account"),
        ({"private_key": "-----BEGIN PRIVATE KEY-----\nAAAA\n"}, "refused", "whole file"),
        ({"project_id": ""}, "refused", "project_id"),
    ],
)
def test_a_bad_key_is_named_and_not_repeated(
    google: Google, changes: dict[str, str], code: str, words: str
) -> None:
    google.credentials = {"service_account_json": key_file(google.bills.url, **changes)}
    refusal = google.refusal()
    assert isinstance(refusal, Permanent)
    assert (refusal.code, words in refusal.message) == (code, True)
    assert "BEGIN" not in refusal.message


def test_the_check_says_what_it_sees(google: Google) -> None:
    checked = PLUGIN.check(google.client, google.credentials, google.settings)
    assert checked.account_name == "01AB2C-34DE5F-67890A"
    assert checked.account_id == "01AB2C_34DE5F_67890A"
    detailed = google.settings | {"table": TABLE.replace("export_v1", "export_resource_v1")}
    same = PLUGIN.check(google.client, google.credentials, detailed)
    assert same.account_id == checked.account_id
    view = google.settings | {"table": "gcp_billing_export_of_lab"}
    told = PLUGIN.check(google.client, google.credentials, view)
    assert told.account_id == "our-project.billing.gcp_billing_export_of_lab"
    assert "does not say whose bill" in told.warnings[0]
    assert checked.scope == f"Table our-project.billing.{TABLE}"
    assert "no rows" in checked.warnings[0]
    google.bills.world(charge(currency="EUR"))
    (warning,) = PLUGIN.check(google.client, google.credentials, google.settings).warnings
    assert "EUR" in warning


def test_people_name_the_skus_that_are_not_known(google: Google) -> None:
    google.bills.world(
        charge(description="Generate content output token count gemini 9 omni text flex")
    )
    line = google.only()
    assert line.model == "google:unmapped"
    for names in (f"{line.sku_id} = gemini-9-omni", "*9 omni* = Gemini-9-Omni\n"):
        named = google.only(model_names=names)
        assert (named.model, named.token_class, named.service_tier) == (
            "gemini-9-omni",
            "output",
            "flex",
        )


def test_the_export_says_how_far_it_reaches(google: Google) -> None:
    assert google.read().data_through is None
    google.bills.world(charge())
    assert google.read().data_through == NOW - dt.timedelta(days=1)
