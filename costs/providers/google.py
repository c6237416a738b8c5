"""Google Cloud's bill, from the Cloud Billing export in BigQuery: one day × SKU × project per line, credits beside.

There is no cost API; the export table is asked by SQL over plain REST, signed in with a service account's key. Rows of
the export are append-only and later ones correct earlier days, so whole days are added up again each time. Days are
days of Pacific time, as invoices count months, unless the connection says UTC.
"""

import datetime as dt
import re
from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

from core.access_fields import Field
from core.http import OutboundClient
from costs.providers.base import (
    Checked,
    CostLine,
    Credentials,
    Permanent,
    Reading,
    Settings,
    decimal_of,
    merged,
    optional_decimal,
)
from costs.providers.cloud import amount_of, given_model
from costs.providers.google_export import BIGQUERY, Export
from costs.providers.google_skus import read_sku
from costs.providers.google_sql import NEWEST_SQL, READ_SQL

PACIFIC = "America/Los_Angeles"
EXPORTED_IN = dt.timedelta(days=1)
_ACCOUNT = re.compile(r"gcp_billing_export_(?:resource_)?v1_(\w+)")
_CATEGORIES = {
    "regular": "usage",
    "tax": "tax",
    "adjustment": "adjustment",
    "rounding_error": "adjustment",
}

FIELDS = (
    Field(
        "service_account_json",
        "Service account key",
        "The whole JSON file: IAM → Service accounts → Keys → Add key → JSON. It needs BigQuery Job User on the"
        " project below and BigQuery Data Viewer on the dataset.",
        is_secret=True,
        is_long=True,
    ),
    Field("dataset", "Dataset of the billing export",
        "As Billing → Billing export shows it: dataset or project.dataset."),
    Field(
        "project",
        "Project that runs the queries",
        "Its bill carries the bytes read. Empty: the service account's own.",
        is_required=False,
    ),
    Field(
        "table",
        "Table",
        "gcp_billing_export_v1_…; empty: the one in the dataset.",
        is_required=False,
    ),
    Field(
        "location",
        "Location of the dataset",
        "US, EU, or a region. Empty: BigQuery finds it.",
        is_required=False,
    ),
    Field(
        "days",
        "Days are days of",
        "Google's invoices count months in Pacific time.",
        is_required=False,
        choices=(("pacific", "Pacific time, as invoices"), ("utc", "UTC")),
        default="pacific",
    ),
    Field(
        "account_charges",
        "Taxes and charges of the whole billing account",
        "They carry no project and are for every service together.",
        is_required=False,
        choices=(("no", "Leave out"), ("yes", "Read too")),
        default="no",
    ),
    Field(
        "model_names",
        "SKUs by hand",
        "For SKUs that LLMLab does not know, by id or description: A1B2-C3D4-E5F6 = gemini-9-omni; *9 omni* = …",
        is_required=False,
    ),
    Field(
        "max_gigabytes",
        "Most gigabytes one query may read",
        "A query that would read more is refused by BigQuery and costs nothing.",
        is_required=False,
        default="10",
    ),
    Field("base_url", "BigQuery address", "", is_required=False, default=BIGQUERY),
)  # fmt: skip


class GooglePlugin:
    """The billing export, read with a service account."""

    provider = "google"
    label = "Google Cloud (BigQuery billing export)"
    fields = FIELDS
    # The export is usually a day behind, and corrects.
    overlap_days = 5
    # Late rows of a month keep coming until about the tenth of the next one.
    daily_overlap_days = 41
    # One query reads whole partitions: more days a query cost less than more queries.
    days_per_read = 31

    def time_zone(self, settings: Settings) -> str:
        """Pacific time, as invoices have it, or UTC."""
        return "UTC" if settings.get("days") == "utc" else PACIFIC

    def check(
        self, client: OutboundClient, credentials: Credentials, settings: Settings
    ) -> Checked:
        """Find the table and ask how fresh it is: that needs the same rights as reading does."""
        export = Export(client, credentials, settings)
        table = export.table()
        found = next(export.ask(NEWEST_SQL, {}), {})
        billing_account = _ACCOUNT.fullmatch(table)
        return Checked(
            account_name=re.sub(r".*_v1_", "", table).replace("_", "-"),
            # Another table, such as a view of one team's projects, is a bill of its own.
            account_id=billing_account[1] if billing_account else f"{export.dataset}.{table}",
            scope=f"Table {export.dataset}.{table}",
            warnings=tuple(_warnings(found, table, is_export=billing_account is not None)),
        )

    def read(
        self,
        client: OutboundClient,
        credentials: Credentials,
        settings: Settings,
        first_day: dt.date,
        end_day: dt.date,
    ) -> Reading:
        """Every line of the days, all pages. Raises Retryable and Permanent."""
        export = Export(client, credentials, settings)
        zone = self.time_zone(settings)
        parameters = {
            "start": ("TIMESTAMP", _start_of(first_day, zone).strftime("%Y-%m-%d %H:%M:%S+00:00")),
            "end": ("TIMESTAMP", _start_of(end_day, zone).strftime("%Y-%m-%d %H:%M:%S+00:00")),
            "zone": ("STRING", zone),
            "with_account": ("BOOL", str(settings.get("account_charges") == "yes").lower()),
        }
        rows = list(export.ask(READ_SQL, parameters))
        return Reading(
            costs=merged(_line(row, zone, settings) for row in rows),
            usage=[],
            requests=export.asker.requests,
            data_through=_exported_through(rows),
        )


def _exported_through(rows: list[dict[str, Any]]) -> dt.datetime | None:
    """Rows are exported within a day of their use, usually: a day before the table's newest row."""
    newest = rows[0].get("newest") if rows else None
    if newest is None:
        return None
    seconds = int(decimal_of(newest, "an export time"))
    return dt.datetime.fromtimestamp(seconds, dt.UTC) - EXPORTED_IN


def _start_of(day: dt.date, zone: str) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(), ZoneInfo(zone)).astimezone(dt.UTC)


def _line(row: dict[str, Any], zone: str, settings: Settings) -> CostLine:
    """One row as a line: a charge, or one kind of credit."""
    try:
        day = dt.date.fromisoformat(str(row.get("day")))
    except ValueError:
        raise Permanent(
            f"BigQuery's answer holds {row.get('day')!r} as a day.", "unreadable"
        ) from None
    sku, credit = str(row.get("sku") or ""), str(row.get("credit") or "")
    meaning = read_sku(
        sku,
        unit=str(row.get("unit") or ""),
        label=str(row.get("model_label") or ""),
        given=given_model(settings, str(row.get("sku_id") or ""), sku),
    )
    kind = str(row.get("cost_type") or "regular")
    return CostLine(
        day=day,
        starts_at=_start_of(day, zone),
        ends_at=_start_of(day + dt.timedelta(days=1), zone),
        source="export",
        provider="google",
        sub_account_id=str(row.get("project_id") or "")[:300],
        sub_account_name=str(row.get("project_name") or "")[:300],
        model=meaning.model,
        service_tier=meaning.tier,
        token_class=meaning.token_class,
        context_window=meaning.context,
        region=str(row.get("region") or "")[:64],
        quantity=None if credit else optional_decimal(row.get("quantity"), "a quantity"),
        unit="" if credit else meaning.unit[:32],
        amount=amount_of(row.get("amount"), "a cost"),
        list_amount=_list_amount(row),
        currency=str(row.get("currency") or "XXX").upper()[:8],
        category="credit" if credit else _CATEGORIES.get(kind, "adjustment"),
        description=_description(row, sku, credit, day),
        sku_id=str(row.get("sku_id") or "")[:200],
    )


def _list_amount(row: dict[str, Any]) -> Any:
    value = row.get("list_amount")
    return None if value is None else amount_of(value, "a list price")


def _description(row: dict[str, Any], sku: str, credit: str, day: dt.date) -> str:
    """The SKU's words; what sets this line apart from the day's other ones beside it."""
    notes = [credit] if credit else []
    month = str(row.get("invoice_month") or "")
    if month and month != f"{day:%Y%m}":
        # Used in one month and billed with another's invoice: late rows and corrections.
        notes.append(f"invoice {month[:4]}-{month[4:]}")
    return " · ".join([sku, *notes])[:500]


def _warnings(newest: dict[str, Any], table: str, *, is_export: bool) -> Iterator[str]:
    if not is_export:
        yield (
            f"The name {table} does not say whose bill it is: take care that no other connection reads the same"
            " costs, they would count twice."
        )
    if not newest.get("exported_at"):
        yield "The table holds no rows of the last days yet; a new export fills within hours."
    currency = str(newest.get("currency") or "USD").upper()
    if currency != "USD":
        yield f"The bill is in {currency}: LLMLab converts it by the rates an operator sets."


PLUGIN = GooglePlugin()
