"""Google's sign-in and the BigQuery REST API over a billing export of the world's charges.

It is no SQL engine: it knows the two questions that LLMLab asks by what they select, and answers by their parameters.
Flags: `google_slow_jobs` (a job is complete at the second look), `google_never_done`, `google_labels` (rows carry the
model label), `google_lost_row` (the last page lacks one). Datasets: `missing` is not there, `empty` has no tables,
`two` holds two exports; the project `forbidden` may not be read. A key whose e-mail starts with `deleted` is refused.
"""

import base64
import binascii
import json
import re
from collections import OrderedDict
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from examples.simulator.billing import faults, world
from examples.simulator.billing.meters import sku_id, sku_name
from examples.simulator.billing.world import Charge
from examples.simulator.http import HttpError, Reply, Request

PROVIDER = "google"
ACCOUNT = "01AB2C_34DE5F_67890A"
TABLES = (
    f"gcp_billing_export_v1_{ACCOUNT}",
    f"gcp_billing_export_resource_v1_{ACCOUNT}",
    "cloud_pricing_export",
)
PACIFIC = ZoneInfo("America/Los_Angeles")
MIN_BYTES = 10_485_760
KEPT_JOBS = 50
COLUMNS = {
    "day": "DATE", "service": "STRING", "sku_id": "STRING", "sku": "STRING", "project_id": "STRING",
    "project_name": "STRING", "region": "STRING", "cost_type": "STRING", "currency": "STRING",
    "invoice_month": "STRING", "model_label": "STRING", "credit": "STRING", "unit": "STRING",
    "quantity": "BIGNUMERIC", "amount": "BIGNUMERIC", "list_amount": "BIGNUMERIC", "newest": "INTEGER",
}  # fmt: skip
UNITS = {"tokens": "count", "requests": "count", "searches": "count", "hours": "hour"}
COST_TYPES = {"usage": "regular", "credit": "regular", "purchase": "regular"}
REASONS = {400: "invalidQuery", 401: "authError", 403: "accessDenied", 404: "notFound", 429: "rateLimitExceeded",
           500: "backendError", 503: "backendError"}  # fmt: skip


@dataclass
class Job:
    """A query that ran: what it found, and how often somebody looked."""

    columns: dict[str, str]
    rows: list[list[str | None]]
    looks: int = 0


_jobs: OrderedDict[str, Job] = OrderedDict()


def error_reply(error: HttpError, request: Request | None) -> Reply:
    """OAuth's shape for the sign-in, Google's for everything else."""
    if request and request.path == "/google/token":
        body: dict[str, Any] = {"error": error.kind, "error_description": error.message}
        return Reply(body, error.status, error.headers)
    reason = (
        error.code
        if error.code and "_" not in error.code
        else REASONS.get(error.status, "backendError")
    )
    body = {
        "code": error.status,
        "message": error.message,
        "status": error.kind.upper(),
        "errors": [{"message": error.message, "domain": "global", "reason": reason}],
    }
    return Reply({"error": body}, error.status, error.headers)


async def token(request: Request) -> Reply:
    """POST the key file's token_uri: a signed claim for a token. The signature is not checked, the claim is."""
    form = request.body
    if form.get("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer":
        raise HttpError(400, "unsupported_grant_type", "Invalid grant_type.")
    try:
        header, claims, signature = (_decoded(part) for part in str(form["assertion"]).split("."))
        algorithm, about = json.loads(header)["alg"], json.loads(claims)
        is_fitting = (
            algorithm == "RS256"
            and about["aud"] == "https://oauth2.googleapis.com/token"
            and 0 < about["exp"] - about["iat"] <= 3_600
            and "bigquery" in about["scope"]
        )
    except (KeyError, ValueError, TypeError, binascii.Error):
        raise HttpError(400, "invalid_request", "Bad assertion.") from None
    if not is_fitting or len(signature) < 128 or about["iss"].startswith("deleted"):
        raise HttpError(400, "invalid_grant", "Invalid JWT Signature.")
    return Reply(
        {
            "access_token": f"google-token-{request.number}",
            "expires_in": 3599,
            "token_type": "Bearer",
        }
    )


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _check_caller(request: Request) -> None:
    if not request.headers.get("authorization", "").startswith("Bearer google-token-"):
        raise HttpError(401, "unauthenticated", "Request had invalid authentication credentials.")
    if request.path_values["project"] == "forbidden":
        raise HttpError(
            403,
            "permission_denied",
            "Access Denied: Project forbidden: User does not have bigquery.jobs.create.",
        )


async def tables(request: Request) -> Reply:
    """GET …/datasets/{dataset}/tables."""
    _check_caller(request)
    dataset = request.path_values["dataset"]
    if dataset == "missing":
        raise HttpError(404, "not_found", "Not found: Dataset missing")
    names = {"empty": (), "two": (*TABLES, "gcp_billing_export_v1_0F0F0F_0F0F0F_0F0F0F")}.get(
        dataset, TABLES
    )
    start = int((request.values("pageToken") or ["0"])[-1])
    size = faults.page_size(int((request.values("maxResults") or ["50"])[-1]))
    page: dict[str, Any] = {
        "kind": "bigquery#tableList",
        "tables": [
            {
                "tableReference": {
                    "projectId": request.path_values["project"],
                    "datasetId": dataset,
                    "tableId": name,
                }
            }
            for name in names[start : start + size]
        ],
        "totalItems": len(names),
    }
    if start + size < len(names):
        page["nextPageToken"] = str(start + size)
    return Reply(page)


async def start_query(request: Request) -> Reply:
    """POST …/queries: runs the job, and gives its first page if it is done."""
    _check_caller(request)
    sql, values = str(request.body.get("query", "")), _parameters(request.body)
    table = re.search(r"FROM `[\w.:-]+\.(\w+)`", sql)
    if table is None or request.body.get("useLegacySql") is not False:
        raise HttpError(400, "invalid_argument", "Syntax error: Unexpected end of script")
    if "missing" in table[0] or not table[1].startswith("gcp_billing_export_"):
        raise HttpError(404, "not_found", f"Not found: Table {table[1]}")
    if int(request.body.get("maximumBytesBilled", MIN_BYTES)) < MIN_BYTES:
        raise HttpError(
            400, "invalid_argument", f"Query exceeded limit for bytes billed. {MIN_BYTES} or higher required.",
            "bytesBilledLimitExceeded",
        )  # fmt: skip
    job = _newest() if "MAX(t.export_time)" in sql else _entries(values)
    name = f"job_{request.number:08x}"
    _jobs[name] = job
    while len(_jobs) > KEPT_JOBS:
        _jobs.popitem(last=False)
    return Reply(_page(request, name, job, 0, int(request.body.get("maxResults") or 10_000)))


async def results(request: Request) -> Reply:
    """GET …/queries/{job}: further pages, or whether it is done."""
    _check_caller(request)
    name = request.path_values["job"]
    job = _jobs.get(name)
    if job is None:
        raise HttpError(404, "not_found", f"Not found: Job {name}")
    start = int((request.values("pageToken") or ["0"])[-1])
    size = int((request.values("maxResults") or ["10000"])[-1])
    return Reply(_page(request, name, job, start, size))


def _parameters(body: dict[str, Any]) -> dict[str, str]:
    try:
        return {
            one["name"]: one["parameterValue"]["value"] for one in body.get("queryParameters", [])
        }
    except (KeyError, TypeError):
        raise HttpError(400, "invalid_argument", "Invalid query parameters.", "invalid") from None


def _page(request: Request, name: str, job: Job, start: int, asked: int) -> dict[str, Any]:
    reference = {"projectId": request.path_values["project"], "jobId": name, "location": "US"}
    job.looks += 1
    is_waiting = faults.flagged("google_slow_jobs") and job.looks == 1
    if is_waiting or faults.flagged("google_never_done"):
        return {"kind": "bigquery#queryResponse", "jobReference": reference, "jobComplete": False}
    size = faults.page_size(asked)
    rows = job.rows[start : start + size]
    following = start + size if start + size < len(job.rows) else None
    if faults.loops(PROVIDER, request):
        following = start or size
    if faults.flagged("google_lost_row") and following is None:
        rows = rows[:-1]
    page: dict[str, Any] = {
        "kind": "bigquery#queryResponse",
        "jobReference": reference,
        "jobComplete": True,
        "schema": {
            "fields": [
                {"name": column, "type": kind, "mode": "NULLABLE"}
                for column, kind in job.columns.items()
            ]
        },
        "rows": [{"f": [{"v": value} for value in row]} for row in rows],
        "totalRows": str(len(job.rows)),
        "totalBytesProcessed": str(MIN_BYTES),
        "cacheHit": False,
    }
    if following is not None:
        page["pageToken"] = str(following)
    return page


def _newest() -> Job:
    charges = world.visible(PROVIDER, faults.clock())
    row: list[str | None] = [None, None]
    if charges:
        row = [str(int(faults.clock().timestamp())), charges[-1].currency]
    return Job({"exported_at": "INTEGER", "currency": "STRING"}, [row])


def _entries(values: dict[str, str]) -> Job:
    """What READ_SQL selects: charges before credits, and every kind of credit as an entry of its own."""
    try:
        start, end, zone = (
            world.instant(values["start"]),
            world.instant(values["end"]),
            ZoneInfo(values["zone"]),
        )
    except (KeyError, ValueError):
        raise HttpError(
            400, "invalid_argument", "Query parameter 'start' not found.", "invalidQuery"
        ) from None
    found: dict[tuple[str | None, ...], list[Decimal | None]] = {}
    for charge in world.visible(PROVIDER, faults.clock(), start, end):
        if (
            not charge.sub_account
            and charge.category == "tax"
            and values.get("with_account") != "true"
        ):
            continue
        for credit, amount in _parts(charge):
            _add(found, _key(charge, credit, zone), charge, credit, amount)
    newest = str(int(faults.clock().timestamp()))
    rows = [
        [*key, *(None if number is None else format(number, "f") for number in sums), newest]
        for key, sums in found.items()
    ]
    return Job(COLUMNS, sorted(rows, key=lambda row: (row[0] or "", row[2] or "")))


def _parts(charge: Charge) -> list[tuple[str, Decimal]]:
    if charge.category == "credit":
        return [("", Decimal(0)), ("PROMOTION: Credit", charge.amount)]
    gross = [("", charge.amount + charge.credits)]
    return [*gross, ("PROMOTION: Credit", -charge.credits)] if charge.credits else gross


def _key(charge: Charge, credit: str, zone: ZoneInfo) -> tuple[str | None, ...]:
    sku = sku_name(charge)
    billed_at = max(charge.at, charge.visible_from or charge.at)
    label = (
        charge.model.replace("-", "").replace(".", "") if faults.flagged("google_labels") else None
    )
    return (
        charge.at.astimezone(zone).date().isoformat(),
        "Gemini API",
        sku_id(sku),
        sku,
        charge.sub_account or None,
        charge.sub_account_name or None,
        charge.region or None,
        COST_TYPES.get(charge.category, charge.category),
        charge.currency,
        f"{billed_at.astimezone(PACIFIC):%Y%m}",
        label,
        credit,
        None if credit else UNITS.get(charge.unit, charge.unit),
    )


def _add(
    found: dict[tuple[str | None, ...], list[Decimal | None]],
    key: tuple[str | None, ...],
    charge: Charge,
    credit: str,
    amount: Decimal,
) -> None:
    """SUM() of each column: NULLs count for nothing, and a sum of nothing but NULLs is NULL."""
    row = (None if credit else charge.quantity, amount, None if credit else charge.list_amount)
    sums = found.setdefault(key, [None, None, None])
    for place, number in enumerate(row):
        if number is not None:
            sums[place] = (sums[place] or Decimal(0)) + number


_BASE = r"/bigquery/v2/projects/(?P<project>[\w.:-]+)"
ROUTES = (
    ("POST", r"/google/token", token),
    ("GET", _BASE + r"/datasets/(?P<dataset>\w+)/tables", tables),
    ("POST", _BASE + r"/queries", start_query),
    ("GET", _BASE + r"/queries/(?P<job>\w+)", results),
)
