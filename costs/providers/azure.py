"""Azure's bill, by the Cost Management query API: one day × meter × resource per line.

Azure bills meters; what they stand for is read by azure_meters. Names of deployments are not in the bill. Amounts are
in the billing currency, which need not be dollars. Days are UTC days.
"""

import datetime as dt
import re
from collections.abc import Iterator

from core.access_fields import Field
from core.http import OutboundClient
from costs.providers.azure_meters import PROVISIONED, Meter, read_meter
from costs.providers.azure_query import LOGIN, MANAGEMENT, NO_CURRENCY, Query, Row
from costs.providers.base import (
    Checked,
    CostLine,
    Credentials,
    Reading,
    Settings,
    merged,
)
from costs.providers.cloud import given_model

MAX_PAGES = 200
# Costs appear within a day and settle within two.
SETTLES_IN = dt.timedelta(hours=48)
_AI_RESOURCE = re.compile(r"/providers/microsoft\.(?:cognitiveservices|machinelearningservices)/")

FIELDS = (
    Field("tenant_id", "Directory (tenant) id", "Entra ID → App registrations → your app → Overview."),
    Field("client_id", "Application (client) id", "On the same page."),
    Field(
        "client_secret",
        "Client secret",
        "Certificates & secrets → New client secret: the value, not its id.",
        is_secret=True,
    ),
    Field(
        "scope",
        "Scope",
        "What the app may read: subscriptions/<id>, subscriptions/<id>/resourceGroups/<name>,"
        " providers/Microsoft.Management/managementGroups/<id> or"
        " providers/Microsoft.Billing/billingAccounts/<id>. It needs the role Cost Management Reader there.",
    ),
    Field(
        "meter_categories",
        "Only these meter categories",
        "Separated by commas, as cost analysis shows them. Empty: everything on Azure AI accounts and"
        " every meter that stands for a model.",
        is_required=False,
    ),
    Field(
        "cost_type",
        "Reservations",
        "Actual books a purchase on its day; amortised spreads it over the days it is for.",
        is_required=False,
        choices=(("ActualCost", "Actual cost"), ("AmortizedCost", "Amortised cost")),
        default="ActualCost",
    ),
    Field(
        "model_names",
        "Meters by hand",
        "For meters that LLMLab does not know: 6.2 vega* = gpt-6.2-vega; another meter = its model.",
        is_required=False,
    ),
    Field(
        "login_url",
        "Sign-in address",
        "US Government: https://login.microsoftonline.us.",
        is_required=False,
        default=LOGIN,
    ),
    Field(
        "base_url",
        "Management address",
        "US Government: https://management.usgovcloudapi.net.",
        is_required=False,
        default=MANAGEMENT,
    ),
)  # fmt: skip


class AzurePlugin:
    """Cost Management, read with an Entra application's client secret."""

    provider = "azure"
    label = "Azure Cost Management"
    fields = FIELDS
    # Costs settle within 24–48 hours; refunds and price corrections of the last days come with them.
    overlap_days = 5
    # A month stays open until its invoice is made, some days into the next one.
    daily_overlap_days = 35
    # About four queries a minute are allowed, pages included: few days keep a reading to few pages.
    days_per_read = 10

    def time_zone(self, settings: Settings) -> str:
        """Azure's usage dates are UTC days."""
        return "UTC"

    def check(
        self, client: OutboundClient, credentials: Credentials, settings: Settings
    ) -> Checked:
        """One query for this month, its first page only."""
        query = Query(client, credentials, settings)
        rows = list(query.rows({"timeframe": "MonthToDate"}, max_pages=1))
        kept = [row for row in rows if _is_kept(row, settings, query.categories)]
        return Checked(
            account_name=query.scope.rsplit("/", 1)[-1],
            account_id=query.scope.lower(),
            account_slices=tuple(sorted({name.lower() for name in query.categories})),
            scope=_scope_words(query.scope),
            warnings=(*_overlaps(query.scope), *_warnings(rows, kept, settings)),
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
        query = Query(client, credentials, settings)
        # Right whether Azure takes the end as a day or as an instant; what lies outside is not ours to replace.
        period = {
            "from": f"{first_day.isoformat()}T00:00:00Z",
            "to": f"{(end_day - dt.timedelta(days=1)).isoformat()}T23:59:59Z",
        }
        rows = query.rows({"timeframe": "Custom", "timePeriod": period}, max_pages=MAX_PAGES)
        lines = [
            _line(row, settings)
            for row in rows
            if first_day <= row.day < end_day and _is_kept(row, settings, query.categories)
        ]
        return Reading(
            costs=merged(lines),
            usage=[],
            requests=query.asker.requests,
            data_through=dt.datetime.now(dt.UTC) - SETTLES_IN,
        )


def _meaning(row: Row, settings: Settings) -> Meter:
    return read_meter(row.meter, given_model(settings, row.meter))


def _is_kept(row: Row, settings: Settings, categories: list[str]) -> bool:
    """Whether it is about models: Azure filtered already, or the resource or the meter says so."""
    if categories or _AI_RESOURCE.search(row.resource):
        return True
    meaning = _meaning(row, settings)
    return meaning.is_known and (meaning.unit == "tokens" or meaning.model == PROVISIONED)


def _line(row: Row, settings: Settings) -> CostLine:
    meaning = _meaning(row, settings)
    starts_at = dt.datetime.combine(row.day, dt.time(), dt.UTC)
    return CostLine(
        day=row.day,
        starts_at=starts_at,
        ends_at=starts_at + dt.timedelta(days=1),
        source="query",
        provider="azure",
        sub_account_id=row.resource[:300],
        sub_account_name=row.resource.rsplit("/", 1)[-1][:300],
        model=meaning.model,
        service_tier=meaning.tier,
        token_class=meaning.token_class,
        context_window=meaning.context,
        region=meaning.scope,
        quantity=None if row.quantity is None else row.quantity * meaning.scale,
        unit=meaning.unit,
        amount=row.cost,
        currency=row.currency[:8],
        category=_category(row),
        description=row.meter[:500],
    )


def _category(row: Row) -> str:
    if row.cost < 0:
        return "adjustment"
    # A reservation is bought by nobody's resource.
    is_bought = read_meter(row.meter).model == PROVISIONED and not _AI_RESOURCE.search(row.resource)
    return "purchase" if is_bought else "usage"


def _scope_words(scope: str) -> str:
    kinds = (
        ("/resourcegroups/", "Resource group"),
        ("subscriptions/", "Subscription"),
        ("managementgroups/", "Management group"),
        ("billingaccounts/", "Billing account"),
    )
    low = scope.lower()
    kind = next(words for part, words in kinds if part in f"/{low}")
    return f"{kind} {scope.rsplit('/', 1)[-1]}"


def _overlaps(scope: str) -> Iterator[str]:
    """A subscription's groups are told by its id; what else a scope holds, only Azure's administrators know."""
    if not scope.lower().startswith("subscriptions/"):
        yield (
            "LLMLab cannot tell which subscriptions this scope holds: another connection to one of them would count"
            " its costs twice."
        )


def _warnings(rows: list[Row], kept: list[Row], settings: Settings) -> Iterator[str]:
    if not rows:
        yield "Azure shows no costs in this scope this month. New costs appear within 8 to 24 hours."
    elif not kept:
        yield "Nothing this month was spent on Azure AI accounts: check the scope."
    if unknown := sorted({row.meter for row in kept if not _meaning(row, settings).is_known}):
        yield f"{len(unknown)} meters are not known and kept as azure:unmapped: {', '.join(unknown[:5])}."
    currencies = sorted({row.currency for row in kept} - {"USD"})
    if NO_CURRENCY in currencies:
        yield "Azure names no currency for this scope; its amounts are not converted."
    if others := [name for name in currencies if name != NO_CURRENCY]:
        yield f"The bill is in {', '.join(others)}: LLMLab converts it by the rates an operator sets."


PLUGIN = AzurePlugin()
