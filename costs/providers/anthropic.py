"""Anthropic's bill. Two generations of reports: A (cost_report, usage_report) and B (analytics, beta).

B gives money by key and the list price; where it answers, its figures are taken instead of A's, never beside them.
A's money has no keys: each of its lines is divided by the usage report's share per key (largest remainder, sums kept)
and marked allocated. Amounts are cents, as text. A null workspace is the default one.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal, localcontext
from typing import Any

from core.access_fields import Field
from core.http import OutboundClient
from costs.providers.asking import Asker
from costs.providers.base import (
    Checked,
    CostLine,
    Credentials,
    Permanent,
    Reading,
    Settings,
    UsageLine,
    decimal_of,
    optional_decimal,
)
from costs.splitting import split

BASE = "https://api.anthropic.com"
LABEL = "Anthropic"
DAY = dt.timedelta(days=1)
MOST_DAYS = 30
VERSION = "2023-06-01"
BETA = "analytics-usage-cost-2026-08-24"
ANALYTICS_FROM = dt.date(2026, 1, 1)
ANALYTICS_DAYS = 364
DEFAULT_WORKSPACE = "default"
STANDARD = frozenset({"", "standard", "default"})
CLASSES = {
    "uncached_input_tokens": "input",
    "output_tokens": "output",
    "cache_read_input_tokens": "cache_read",
    "cache_creation.ephemeral_5m_input_tokens": "cache_write_5m",
    "cache_creation.ephemeral_1h_input_tokens": "cache_write_1h",
}
A_USAGE = ("model", "api_key_id", "workspace_id", "service_tier", "context_window", "inference_geo")
B_GROUPS = ("api_key_id", "workspace_id", "model", "service_tier", "context_window")
# B answers so where it is not open to an account or not for these days.
NOT_OPEN = frozenset({"not_found", "forbidden", "invalid_request"})


class AnthropicBilling:
    """The plugin (costs.providers.base.BillingPlugin)."""

    provider = "anthropic"
    label = LABEL
    fields = (
        Field(
            "admin_key",
            "Admin key",
            "An Admin API key (sk-ant-admin01-…) made by an organisation admin in the Console. A workspace key does"
            " not do.",
            is_secret=True,
        ),
        Field("base_url", "Base address", "Only for a proxy.", is_required=False, default=BASE),
    )
    overlap_days = 3
    # Figures may be revised for 30 days: the first sync of a day looks that far back.
    daily_overlap_days = 30
    # Few enough that a history shows its progress.
    days_per_read = 10

    def time_zone(self, settings: Settings) -> str:
        return "UTC"

    def check(
        self, client: OutboundClient, credentials: Credentials, settings: Settings
    ) -> Checked:
        """One day of the cost report, and whether the analytics reports answer."""
        today = dt.datetime.now(dt.UTC).date()
        asker, base = _asker(client, credentials), _base(settings)
        days = _days(today - DAY, today)
        asker.get(f"{base}/v1/organizations/cost_report", [*days, ("limit", "1")])
        name, identity = _organization(asker, base)
        scope = "Every workspace of the organisation that the admin key belongs to."
        try:
            url = f"{base}/v1/organizations/analytics/cost"
            asker.get(
                url, [*days, ("time_bucket_width", "1d"), ("limit", "1")], {"anthropic-beta": BETA}
            )
        except Permanent:
            told = (
                "The analytics reports are not open to this account: money per API key is divided by usage, and"
                " Priority Tier spend is not in the bill."
            )
            return Checked(account_name=name, account_id=identity, scope=scope, warnings=(told,))
        return Checked(
            account_name=name,
            account_id=identity,
            scope=f"{scope} Money per API key comes from the analytics reports.",
        )

    def read(
        self,
        client: OutboundClient,
        credentials: Credentials,
        settings: Settings,
        first_day: dt.date,
        end_day: dt.date,
    ) -> Reading:
        """These days from B when it answers with lines, else from A."""
        asker, base = _asker(client, credentials), _base(settings)
        oldest = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=ANALYTICS_DAYS)
        if first_day >= max(ANALYTICS_FROM, oldest):
            reading = _analytics(asker, base, first_day, end_day)
            if reading is not None and reading.costs:
                return reading
        return _reports(asker, base, first_day, end_day)


def _asker(client: OutboundClient, credentials: Credentials) -> Asker:
    return Asker(
        client,
        LABEL,
        {"x-api-key": credentials.get("admin_key", ""), "anthropic-version": VERSION},
    )


def _base(settings: Settings) -> str:
    return str(settings.get("base_url") or BASE).rstrip("/")


def _organization(asker: Asker, base: str) -> tuple[str, str]:
    """Name and id of the key's organisation; empty where nobody says."""
    try:
        found = asker.get(f"{base}/v1/organizations/me")
    except Permanent:
        return "", ""
    return str(found.get("name") or ""), str(found.get("id") or "")


def _days(first: dt.date, end: dt.date) -> list[tuple[str, str]]:
    return [("starting_at", f"{first}T00:00:00Z"), ("ending_at", f"{end}T00:00:00Z")]


def _bounds(row: dict[str, Any]) -> dict[str, Any]:
    start, end = _instant(row["starting_at"]), _instant(row["ending_at"])
    return {"day": start.date(), "starts_at": start, "ends_at": end, "provider": "anthropic"}


def _instant(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(dt.UTC)


def _grouped(groups: tuple[str, ...]) -> list[tuple[str, str]]:
    return [("group_by[]", name) for name in groups]


def _dimensions(row: dict[str, Any]) -> dict[str, Any]:
    """What a row of any report is about, in the ledger's words."""
    tier = str(row.get("service_tier") or "").lower()
    region = row.get("inference_geo") or ""
    return {
        "sub_account_id": row.get("workspace_id") or DEFAULT_WORKSPACE,
        "provider_key_id": row.get("api_key_id") or "",
        "model": str(row.get("model") or "").strip().lower(),
        "service_tier": "" if tier in STANDARD else tier[:32],
        "context_window": row.get("context_window") or "",
        "region": "" if region == "not_available" else region,
    }


def from_cents(value: Any, what: str) -> Decimal:
    """Dollars of a number of cents, every digit kept."""
    with localcontext(prec=100):
        return decimal_of(value, what).scaleb(-2)


def _class_of(cost_type: str | None, token_type: str | None) -> str:
    if token_type in CLASSES:
        return CLASSES[token_type]
    return "web_search" if cost_type == "web_search" else "other"


def _quantities(row: dict[str, Any]) -> Iterator[tuple[str, str, Decimal]]:
    """The disjoint counts of a usage row: class, unit, how many. Counts nobody knows yet are kept as `other`."""
    written = row.get("cache_creation") or {}
    found = {
        **{name: row.get(name) for name in CLASSES if "." not in name},
        **{f"cache_creation.{name}": value for name, value in written.items()},
    }
    for name, value in found.items():
        if count := optional_decimal(value, name):
            yield CLASSES.get(name, "other"), "tokens", count
    for name, value in (row.get("server_tool_use") or {}).items():
        if count := optional_decimal(value, name):
            yield "web_search" if name == "web_search_requests" else "other", "requests", count


def _usage_lines(
    bounds: dict[str, Any], row: dict[str, Any], dimensions: dict[str, Any], source: str
) -> Iterator[UsageLine]:
    shared = {**bounds, **dimensions, "source": source}
    for token_class, unit, count in _quantities(row):
        yield UsageLine(**shared, token_class=token_class, quantity=count, unit=unit)
    if number := optional_decimal(row.get("requests"), "requests"):
        yield UsageLine(
            **shared,
            token_class="request",  # noqa: S106 (what is counted, no secret)
            quantity=number,
            unit="requests",
            requests=int(number),
        )


# --- A: cost_report and usage_report


def _reports(asker: Asker, base: str, first: dt.date, end: dt.date) -> Reading:
    shared = [*_days(first, end), ("bucket_width", "1d"), ("limit", str(MOST_DAYS + 1))]
    usage = [
        line
        for bounds, row in _rows(
            asker,
            f"{base}/v1/organizations/usage_report/messages",
            [*shared, *_grouped(A_USAGE)],
        )
        for line in _usage_lines(bounds, row, _dimensions(row), "usage_report")
    ]
    shares = _shares(usage)
    costs = [
        line
        for bounds, row in _rows(
            asker,
            f"{base}/v1/organizations/cost_report",
            [*shared, *_grouped(("workspace_id", "description"))],
        )
        for line in _by_key(_cost_line(bounds, row), shares)
    ]
    return Reading(costs, usage, asker.requests)


def _rows(
    asker: Asker, url: str, params: list[tuple[str, str]]
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for page in asker.pages(url, params):
        for bucket in page.get("data") or ():
            bounds = _bounds(bucket)
            for row in bucket.get("results") or ():
                yield bounds, row


def _cost_line(bounds: dict[str, Any], row: dict[str, Any]) -> CostLine:
    return CostLine(
        **bounds,
        **_dimensions(row),
        source="cost_report",
        token_class=_class_of(row.get("cost_type"), row.get("token_type")),
        amount=from_cents(row.get("amount"), "an amount"),
        currency=str(row.get("currency") or "USD").upper(),
        description=row.get("description") or row.get("cost_type") or "",
    )


Shares = dict[tuple[str, ...], dict[str, Decimal]]


def _shares(usage: list[UsageLine]) -> Shares:
    """Who used how much of what: by everything a cost line says, then by key."""
    found: Shares = defaultdict(lambda: defaultdict(Decimal))
    for line in usage:
        if line.token_class != "request" and line.quantity:  # noqa: S105
            found[_of_what(line)][line.provider_key_id] += line.quantity
    return found


def _of_what(line: CostLine | UsageLine) -> tuple[str, ...]:
    if line.token_class == "web_search":  # noqa: S105
        # The bill says neither model nor tier of a search.
        return (line.day.isoformat(), line.sub_account_id, line.token_class)
    return (
        line.day.isoformat(),
        line.sub_account_id,
        line.token_class,
        line.model,
        line.service_tier,
        line.context_window,
        line.region,
    )


def _by_key(line: CostLine, shares: Shares) -> list[CostLine]:
    """The line divided by its keys' usage; whole when nobody is known to have used it."""
    used = shares.get(_of_what(line))
    if line.token_class == "other" or not used:  # noqa: S105
        return [line]
    unit = "requests" if line.token_class == "web_search" else "tokens"  # noqa: S105
    parts = split(line.amount, used)
    values = vars(line) | {"unit": unit, "is_allocated": len(parts) > 1}
    return [
        CostLine(**values | {"provider_key_id": key, "quantity": used[key], "amount": amount})
        for key, amount in parts.items()
    ]


# --- B: analytics


def _analytics(asker: Asker, base: str, first: dt.date, end: dt.date) -> Reading | None:
    """None where B is not open."""
    url = f"{base}/v1/organizations/analytics"
    shared = [*_days(first, end), ("time_bucket_width", "1d"), ("limit", "1000")]
    costs: list[CostLine] = []
    usage: list[UsageLine] = []
    fresh: list[dt.datetime] = []
    try:
        for row in _analytics_rows(
            asker,
            f"{url}/cost",
            [*shared, *_grouped((*B_GROUPS, "cost_type", "token_type"))],
            fresh,
        ):
            costs.append(_analytics_cost(row))
    except Permanent as error:
        if error.code in NOT_OPEN and not costs:
            return None
        raise
    for row in _analytics_rows(asker, f"{url}/usage", [*shared, *_grouped(B_GROUPS)], fresh):
        group = row.get("group") or {}
        usage += _usage_lines(_bounds(row), row["usage"], _dimensions(group), "analytics")
    return Reading(costs, usage, asker.requests, min(fresh, default=None))


def _analytics_rows(
    asker: Asker, url: str, params: list[tuple[str, str]], fresh: list[dt.datetime]
) -> Iterator[dict[str, Any]]:
    """The rows up to where the report is refreshed; `fresh` gets that instant."""
    for page in asker.pages(url, params, {"anthropic-beta": BETA}):
        refreshed = page.get("data_refreshed_at")
        if refreshed:
            fresh.append(_instant(refreshed))
        for row in page.get("data") or ():
            if not (refreshed and _instant(row["starting_at"]) >= fresh[-1]):
                yield row


def _analytics_cost(row: dict[str, Any]) -> CostLine:
    group, cost = row.get("group") or {}, row["cost"]
    listed = cost.get("list_amount")
    cost_type = group.get("cost_type")
    return CostLine(
        **_bounds(row),
        **_dimensions(group),
        source="analytics",
        token_class=_class_of(cost_type, group.get("token_type")),
        amount=from_cents(cost.get("amount"), "an amount"),
        list_amount=None if listed is None else from_cents(listed, "a list amount"),
        currency=str(cost.get("currency") or "USD").upper(),
        description="" if cost_type in (None, "tokens") else str(cost_type),
    )


PLUGIN = AnthropicBilling()
