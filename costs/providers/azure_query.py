"""Cost Management's query API at one scope: the question, its pages, and what refusals mean."""

import datetime as dt
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from urllib.parse import quote, urlsplit

from core.http import OutboundClient, Reply
from costs.providers.base import Credentials, Permanent, Retryable, Settings, optional_decimal
from costs.providers.cloud import CloudAsker, SignIn, amount_of, longest_wait_s, rooted

LABEL = "Azure"
API_VERSION = "2025-03-01"
LOGIN, MANAGEMENT = "https://login.microsoftonline.com", "https://management.azure.com"
WAIT_S = 60.0
# ISO 4217: no currency. Such lines keep their money and are never taken for dollars.
NO_CURRENCY = "XXX"
# Permanent.code: this page is to be had by GET.
NO_POST = "no_post"
_SCOPE = re.compile(
    r"(?:subscriptions/[\w-]+(?:/resourceGroups/[\w.()-]+)?"
    r"|providers/Microsoft\.Management/managementGroups/[\w.()-]+"
    r"|providers/Microsoft\.Billing/billingAccounts/[\w:.-]+(?:/[A-Za-z]+/[\w:.-]+){0,2})",
    re.IGNORECASE,
)
_COST_NAMES = ("totalcost", "cost", "costusd", "pretaxcost", "pretaxcostusd")
_QUANTITY_NAMES = ("totalquantity", "usagequantity")


class Row:
    """One row of the answer, by the names of its columns."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.day = _day(values.get("usagedate"))
        self.meter = str(values.get("meter") or "")
        self.resource = str(values.get("resourceid") or "").lower()
        self.currency = str(values.get("currency") or NO_CURRENCY).upper()
        cost = next((values[name] for name in _COST_NAMES if name in values), None)
        self.cost = amount_of(cost, "a cost")
        quantity = next((values[name] for name in _QUANTITY_NAMES if name in values), None)
        self.quantity = optional_decimal(quantity, "a quantity")


class _Asker(CloudAsker):
    """With what Azure means by its refusals."""

    def _refusal(self, reply: Reply) -> Exception:
        error = super()._refusal(reply)
        if isinstance(error, Retryable):
            waits = longest_wait_s(reply.headers)
            error.retry_after_s = WAIT_S if waits is None and reply.status == 429 else waits
        elif isinstance(error, Permanent) and reply.status == 405:
            error.code = NO_POST
        elif isinstance(error, Permanent) and error.code == "forbidden":
            error.message += " The app needs the role Cost Management Reader on the scope."
        return error


class Query:
    """The query API at one scope."""

    def __init__(
        self, client: OutboundClient, credentials: Credentials, settings: Settings
    ) -> None:
        self.client, self.credentials, self.settings = client, credentials, settings
        self.scope = str(settings.get("scope") or "").strip().strip("/")
        if not _SCOPE.fullmatch(self.scope):
            raise Permanent(
                f"The scope {self.scope[:100]!r} is none of Azure's: write subscriptions/<id>,"
                " providers/Microsoft.Management/managementGroups/<id> or"
                " providers/Microsoft.Billing/billingAccounts/<id>."
            )
        names = str(settings.get("meter_categories") or "").split(",")
        self.categories = [name.strip() for name in names if name.strip()]
        self.base = rooted(settings, "base_url", MANAGEMENT)
        self.asker = _Asker(client, LABEL, self._token)

    def rows(self, when: dict[str, Any], *, max_pages: int) -> Iterator[Row]:
        """Every row of up to `max_pages` pages. Raises Permanent when there are more than any bill has."""
        url = (
            f"{self.base}/{quote(self.scope, safe='/:.()-')}/providers/Microsoft.CostManagement/query"
            f"?api-version={API_VERSION}"
        )
        body, method, seen = self._body(when), "POST", set[str]()
        for _ in range(max_pages):
            seen.add(url)
            try:
                reply = self._ask(method, url, body)
            except Permanent as error:
                if error.code != NO_POST or len(seen) == 1:
                    raise
                # Some gateways serve the next page only by GET.
                method = "GET"
                reply = self._ask(method, url, body)
            if reply.status == 204:
                return
            properties = self._properties(reply)
            yield from _rows(properties)
            url = self._next(properties.get("nextLink"))
            if not url:
                return
            if url in seen:
                raise Permanent("Azure's pages lead in a circle; nothing was stored.", "unreadable")
        if max_pages > 1:
            raise Permanent(
                f"More than {max_pages} pages for these days. Name the meter categories of your models"
                " in the connection, so that Azure sends only those.",
                "unreadable",
            )

    def _body(self, when: dict[str, Any]) -> dict[str, Any]:
        dataset: dict[str, Any] = {
            "granularity": "Daily",
            "aggregation": {
                "totalCost": {"name": "Cost", "function": "Sum"},
                "totalQuantity": {"name": "UsageQuantity", "function": "Sum"},
            },
            "grouping": [
                {"type": "Dimension", "name": "Meter"},
                {"type": "Dimension", "name": "ResourceId"},
            ],
        }
        if self.categories:
            dataset["filter"] = {
                "dimensions": {
                    "name": "MeterCategory",
                    "operator": "In",
                    "values": self.categories,
                }
            }
        kind = str(self.settings.get("cost_type") or "ActualCost")
        return {"type": kind, **when, "dataset": dataset}

    def _ask(self, method: str, url: str, body: dict[str, Any]) -> Reply:
        options = {"json": body} if method == "POST" else {}
        return self.asker.ask(method, url, **options)

    def _properties(self, reply: Reply) -> dict[str, Any]:
        properties = self.asker.json_of(reply).get("properties")
        if not isinstance(properties, dict):
            raise Permanent("Azure's answer has no `properties`.", "unreadable")
        return properties

    def _next(self, link: Any) -> str:
        """The next page's address; the token goes nowhere but to the host that the connection names."""
        if not link:
            return ""
        here, there = urlsplit(self.base), urlsplit(str(link))
        if (here.scheme, here.netloc.lower()) != (there.scheme, there.netloc.lower()):
            raise Permanent(f"Azure's next page is on another host ({there.netloc[:100]}).")
        return str(link)

    def _token(self) -> str:
        tenant = str(self.settings.get("tenant_id") or "").strip()
        if not re.fullmatch(r"[\w.-]+", tenant):
            raise Permanent(f"The tenant {tenant[:60]!r} is neither an id nor a domain.")
        return SignIn(self.client, "Azure's sign-in").token(
            f"{rooted(self.settings, 'login_url', LOGIN)}/{tenant}/oauth2/v2.0/token",
            {
                "grant_type": "client_credentials",
                "client_id": str(self.settings.get("client_id") or "").strip(),
                "client_secret": self.credentials.get("client_secret", ""),
                "scope": f"{self.base}/.default",
            },
        )


def _rows(properties: dict[str, Any]) -> Iterator[Row]:
    columns, rows = properties.get("columns"), properties.get("rows")
    if not isinstance(columns, list) or not isinstance(rows, list):
        raise Permanent("Azure's answer has no columns or no rows.", "unreadable")
    names = [str(column.get("name", "")).lower() for column in columns if isinstance(column, dict)]
    for row in rows:
        if not isinstance(row, list) or len(row) != len(names):
            raise Permanent("A row of Azure's answer does not fit its columns.", "unreadable")
        yield Row(dict(zip(names, row, strict=True)))


def _day(value: Any) -> dt.date:
    """`20261101`, as a number or as text, or an ISO date. Raises Permanent."""
    text = str(int(value) if isinstance(value, Decimal) and value == int(value) else value)
    try:
        return dt.date.fromisoformat(text[:10] if "-" in text else text)
    except ValueError:
        raise Permanent(
            f"Azure's answer holds {text[:40]!r} as a usage date.", "unreadable"
        ) from None
