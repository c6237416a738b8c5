"""Azure's sign-in and Cost Management query API over the world's charges.

Days are UTC days, quantities are in the meter's units (1M, hours …), the rest as azure-billing.md has it. Flags:
`azure_shuffled` (columns in another order), `azure_no_currency` (no such column), `azure_get_pages` (a next page only
by GET), `azure_foreign_pages` (the next page is on another host), `azure_other_services` (a virtual machine beside),
`azure_wide_days` (a day more at both ends),
`azure_qpu_wait` and `azure_consumption_wait` (where a 429 says how long to wait; otherwise in Retry-After).
"""

import base64
import binascii
import datetime as dt
import json
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from examples.simulator.billing import faults, world
from examples.simulator.billing.meters import meter_name, meter_quantity
from examples.simulator.billing.world import Charge
from examples.simulator.http import HttpError, Reply, Request

PROVIDER = "azure"
PAGE = 1_000
COLUMNS = {"Cost": "Number", "UsageQuantity": "Number", "UsageDate": "Number", "Meter": "String",
           "ResourceId": "String", "Currency": "String"}  # fmt: skip
AGGREGATIONS = {"Cost", "CostUSD", "PreTaxCost", "PreTaxCostUSD", "UsageQuantity"}
CATEGORY = "Foundry Models"
MACHINE = "/subscriptions/0000/resourcegroups/rg1/providers/microsoft.compute/virtualmachines/vm1"
Key = tuple[dt.date, str, str, str]
WAIT_HEADERS = {
    "azure_qpu_wait": "x-ms-ratelimit-microsoft.costmanagement-qpu-retry-after",
    "azure_consumption_wait": "x-ms-ratelimit-microsoft.consumption-retry-after",
}


def error_reply(error: HttpError, request: Request | None) -> Reply:
    """Entra's shape for the sign-in, Resource Manager's for everything else."""
    headers = dict(error.headers)
    if request and request.path.endswith("/token"):
        body = {"error": error.code or error.kind, "error_description": error.message}
        return Reply(body, error.status, headers)
    wait = headers.pop("retry-after", None)
    if wait is not None:
        named = [header for flag, header in WAIT_HEADERS.items() if faults.flagged(flag)]
        headers |= dict.fromkeys(named or ["retry-after"], wait)
    code = error.code or str(error.status)
    return Reply({"error": {"code": code, "message": error.message}}, error.status, headers)


async def token(request: Request) -> Reply:
    """POST /{tenant}/oauth2/v2.0/token."""
    form = request.body
    if request.path_values["tenant"] == "unknown":
        raise HttpError(
            400, "invalid_request", "AADSTS90002: Tenant 'unknown' not found.\r\nTrace ID: 1"
        )
    if form.get("grant_type") != "client_credentials":
        raise HttpError(
            400, "unsupported_grant_type", "AADSTS70003: The grant type is not supported."
        )
    if not str(form.get("scope", "")).endswith("/.default"):
        raise HttpError(
            400, "invalid_scope", "AADSTS1002012: The provided value for scope is not valid."
        )
    secret = str(form.get("client_secret", ""))
    if not secret or secret.endswith("invalid"):
        raise HttpError(
            401,
            "invalid_client",
            "AADSTS7000215: Invalid client secret provided. Ensure the secret being sent in the request is the client"
            " secret value.\r\nTrace ID: 1",
        )
    return Reply(
        {
            "token_type": "Bearer",
            "expires_in": 3599,
            "access_token": f"azure-token-{request.number}",
        }
    )


async def query(request: Request) -> Reply:
    """POST {scope}/providers/Microsoft.CostManagement/query, and its next pages."""
    _check_caller(request)
    parameters = dict(request.query)
    if "api-version" not in parameters:
        raise HttpError(
            400, "MissingApiVersionParameter", "The api-version query parameter is required."
        )
    if "$skiptoken" in parameters:
        if faults.flagged("azure_get_pages") and request.method == "POST":
            raise HttpError(
                405, "MethodNotAllowed", "The requested resource does not support POST."
            )
        asked, start = _opened(parameters["$skiptoken"])
    elif request.method == "GET":
        raise HttpError(405, "MethodNotAllowed", "The requested resource does not support GET.")
    else:
        asked, start = _asked(request.body), 0
    rows = _rows(asked)
    if not rows:
        return Reply(b"", 204)
    size = faults.page_size(PAGE)
    following = start + size
    if faults.loops(PROVIDER, request):
        following = start
    link = _link(request, asked, following) if following < len(rows) else None
    return Reply(_page(request, rows[start : start + size], link))


def _check_caller(request: Request) -> None:
    if not request.headers.get("authorization", "").startswith("Bearer azure-token-"):
        raise HttpError(
            401, "AuthenticationFailed", "Authentication failed.", "InvalidAuthenticationToken"
        )
    if request.path_values["scope"].endswith("forbidden"):
        raise HttpError(
            403,
            "AuthorizationFailed",
            "The client does not have authorization to perform action 'Microsoft.CostManagement/query/read'.",
            "AuthorizationFailed",
        )


def _asked(body: dict[str, Any]) -> dict[str, Any]:
    """What of the body decides the rows, as the API checks it. Raises HttpError 400."""
    dataset = body.get("dataset") or {}
    names = [one.get("name") for one in (dataset.get("aggregation") or {}).values()]
    groups = [one.get("name") for one in dataset.get("grouping") or []]
    if len(groups) > 2 or len(names) > 2 or set(names) - AGGREGATIONS:
        raise HttpError(
            400,
            "BadRequest",
            "Invalid dataset grouping or aggregation: at most 2 each.",
            "BadRequest",
        )
    if groups != ["Meter", "ResourceId"] or dataset.get("granularity") != "Daily":
        raise HttpError(
            400, "BadRequest", "The simulator groups days by Meter and ResourceId only."
        )
    if body.get("type") not in ("ActualCost", "AmortizedCost", "Usage"):
        raise HttpError(
            400, "BadRequest", f"Invalid query type {body.get('type')!r}.", "BadRequest"
        )
    wanted = (dataset.get("filter") or {}).get("dimensions") or {}
    return {**_period(body), "categories": wanted.get("values")}


def _period(body: dict[str, Any]) -> dict[str, str]:
    today = faults.clock().date()
    if body.get("timeframe") == "MonthToDate":
        return {"from": today.replace(day=1).isoformat(), "to": today.isoformat()}
    try:
        period = body["timePeriod"]
        # Both days are in.
        return {name: world.instant(period[name]).date().isoformat() for name in ("from", "to")}
    except (KeyError, TypeError, ValueError):
        raise HttpError(
            400, "BadRequest", "A custom timeframe needs timePeriod.", "BadRequest"
        ) from None


def _rows(asked: dict[str, Any]) -> list[tuple[Key, Decimal, Decimal]]:
    first, last = (dt.date.fromisoformat(asked[name]) for name in ("from", "to"))
    start = dt.datetime.combine(first, dt.time(), dt.UTC)
    end = dt.datetime.combine(last, dt.time(), dt.UTC) + dt.timedelta(days=1)
    if faults.flagged("azure_wide_days"):
        start, end = start - dt.timedelta(days=1), end + dt.timedelta(days=1)
    if asked["categories"] is not None and CATEGORY not in asked["categories"]:
        return []

    def key(charge: Charge) -> Key:
        return charge.at.date(), meter_name(charge), charge.sub_account, charge.currency

    found = world.grouped(world.visible(PROVIDER, faults.clock(), start, end), key)
    rows = [
        (
            name,
            sum((one.amount for one in parts), Decimal(0)),
            sum(map(meter_quantity, parts), Decimal(0)),
        )
        for name, parts in found.items()
    ]
    if faults.flagged("azure_other_services") and asked["categories"] is None:
        rows.append(((first, "D4s v5", MACHINE, "USD"), Decimal("4.608"), Decimal(24)))
    return rows


def _page(request: Request, rows: list[Any], link: str | None) -> dict[str, Any]:
    names = list(COLUMNS)
    if faults.flagged("azure_shuffled"):
        names = [*names[3:], *names[:3]]
    if faults.flagged("azure_no_currency"):
        names.remove("Currency")
    table = []
    for (day, meter, resource, currency), cost, quantity in rows:
        values = {"Cost": cost, "UsageQuantity": quantity, "UsageDate": int(f"{day:%Y%m%d}"), "Meter": meter,
                  "ResourceId": resource, "Currency": currency}  # fmt: skip
        table.append([values[name] for name in names])
    number = f"{request.number:016x}"
    return {
        "id": f"{request.path_values['scope']}/providers/Microsoft.CostManagement/query/{number}",
        "name": number,
        "type": "Microsoft.CostManagement/query",
        "location": None,
        "sku": None,
        "eTag": None,
        "properties": {
            "nextLink": link,
            "columns": [{"name": name, "type": COLUMNS[name]} for name in names],
            "rows": table,
        },
    }


def _link(request: Request, asked: dict[str, Any], start: int) -> str:
    packed = base64.urlsafe_b64encode(json.dumps([asked, start]).encode()).decode()
    host = request.headers.get("host", "localhost")
    if faults.flagged("azure_foreign_pages"):
        host = "elsewhere.example"
    version = dict(request.query)["api-version"]
    return f"http://{host}{quote(request.path)}?api-version={version}&$skiptoken={quote(packed)}"


def _opened(packed: str) -> tuple[dict[str, Any], int]:
    try:
        asked, start = json.loads(base64.urlsafe_b64decode(packed))
    except (binascii.Error, ValueError):
        raise HttpError(400, "BadRequest", "Invalid $skiptoken.", "BadRequest") from None
    return asked, start


_QUERY = r"/(?P<scope>(?:subscriptions|providers)/.+)/providers/Microsoft\.CostManagement/query"
ROUTES = (
    ("POST", r"/(?P<tenant>[\w.-]+)/oauth2/v2\.0/token", token),
    ("POST", _QUERY, query),
    ("GET", _QUERY, query),
)
