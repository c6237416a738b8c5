"""The billing export's table in BigQuery: finding it, asking it by SQL, its pages, and what refusals mean."""

import re
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

from core.http import OutboundClient, Reply
from costs.providers.base import Credentials, Permanent, Retryable, Settings
from costs.providers.cloud import CloudAsker, longest_wait_s, rooted
from costs.providers.google_key import ServiceAccount, fetch_token, read_key

LABEL = "BigQuery"
BIGQUERY = "https://bigquery.googleapis.com"
PAGE_ROWS, MAX_PAGES, MAX_POLLS, POLL_MS = 5_000, 200, 6, 8_000
GIGABYTE = 10**9
# Identifiers cannot be parameters of a query.
_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,200}")
_TABLE = re.compile(r"gcp_billing_export_(?:resource_)?v1_[A-Za-z0-9_]+")
_AGAIN = frozenset(
    {"rateLimitExceeded", "quotaExceeded", "backendError", "internalError", "jobRateLimitExceeded"}
)


class _Asker(CloudAsker):
    """With what Google means by its refusals."""

    def _refusal(self, reply: Reply) -> Exception:
        error = super()._refusal(reply)
        if isinstance(error, Retryable):
            return error
        reasons = set(re.findall(r'"reason"\s*:\s*"(\w+)"', reply.text()))
        if reasons & _AGAIN:
            return Retryable(str(error), longest_wait_s(reply.headers), requests=self.requests)
        if isinstance(error, Permanent):
            error.message += _hint(error.code, reasons)
        return error


def _hint(code: str, reasons: set[str]) -> str:
    if code == "forbidden":
        return " The service account needs BigQuery Job User on the project and BigQuery Data Viewer on the dataset."
    if code == "not_found":
        return " A new export's dataset or table may take hours to appear."
    if "bytesBilledLimitExceeded" in reasons:
        return " Raise the gigabytes one query may read."
    return ""


class Export:
    """The export's table, asked by SQL."""

    def __init__(
        self, client: OutboundClient, credentials: Credentials, settings: Settings
    ) -> None:
        self.settings = settings
        self.key: ServiceAccount = read_key(credentials.get("service_account_json", ""))
        self.project = _name(settings.get("project") or self.key.project_id, "project")
        dataset = _name(settings.get("dataset"), "dataset")
        if "." not in dataset:
            # As the bq command writes it.
            dataset = dataset.replace(":", ".")
        self.dataset = dataset if "." in dataset else f"{self.project}.{dataset}"
        self.base = rooted(settings, "base_url", BIGQUERY)
        self.asker = _Asker(client, LABEL, lambda: fetch_token(client, self.key))
        self._table = ""

    def table(self) -> str:
        """The table's name: the connection's, or the one export in the dataset. Raises Permanent."""
        if not self._table:
            named = str(self.settings.get("table") or "").strip().rpartition(".")[2]
            self._table = _name(named, "table") if named else self._discovered()
        return self._table

    def _discovered(self) -> str:
        project, _, dataset = self.dataset.rpartition(".")
        url = f"{self.base}/bigquery/v2/projects/{project}/datasets/{dataset}/tables"
        names: list[str] = []
        token = ""
        for _ in range(MAX_PAGES):
            params = [("maxResults", "100"), *([("pageToken", token)] if token else [])]
            page = self.asker.json_of(self.asker.ask("GET", url, params=params))
            for table in page.get("tables") or []:
                names.append(str(table.get("tableReference", {}).get("tableId", "")))
            token = str(page.get("nextPageToken") or "")
            if not token:
                break
        found = [name for name in names if _TABLE.fullmatch(name)]
        # The detailed table says the same and more of it; one is enough.
        standard = [name for name in found if "_resource_" not in name] or found
        if not standard:
            raise Permanent(
                f"The dataset {self.dataset} holds no billing export yet. After it is switched on (Billing → Billing"
                " export → Standard usage cost), the table may take hours to appear.",
                "not_found",
            )
        if len(standard) > 1:
            raise Permanent(
                f"The dataset {self.dataset} holds the exports of {len(standard)} billing accounts:"
                f" name one as the table: {', '.join(sorted(standard)[:5])}.",
                "refused",
            )
        return standard[0]

    def ask(self, sql: str, parameters: dict[str, tuple[str, str]]) -> Iterator[dict[str, Any]]:
        """Every row of the query's answer, by column name. Raises Permanent when pages do not add up."""
        url = f"{self.base}/bigquery/v2/projects/{self.project}/queries"
        body = self._body(sql, parameters)
        page = self._finished(self.asker.json_of(self.asker.ask("POST", url, json=body)))
        total, count, seen = page.get("totalRows"), 0, set[str]()
        names = [str(field.get("name")) for field in page.get("schema", {}).get("fields", [])]
        for _ in range(MAX_PAGES):
            for row in page.get("rows") or []:
                count += 1
                yield _cells(row, names)
            token = str(page.get("pageToken") or "")
            if not token:
                break
            if token in seen:
                raise Permanent(
                    "BigQuery's pages lead in a circle; nothing was stored.", "unreadable"
                )
            seen.add(token)
            page = self._finished(self._results(page, token), token)
        else:
            raise Permanent(f"More than {MAX_PAGES} pages for these days.", "unreadable")
        if total is not None and count != int(total):
            raise Retryable(f"BigQuery promised {total} rows and sent {count}.")

    def _body(self, sql: str, parameters: dict[str, tuple[str, str]]) -> dict[str, Any]:
        limit = str(self.settings.get("max_gigabytes") or "10").strip()
        if not re.fullmatch(r"[1-9]\d{0,5}", limit):
            raise Permanent(f"{limit[:20]!r} gigabytes is no whole number from 1 on.")
        location = str(self.settings.get("location") or "").strip()
        return {
            "query": sql.replace("{table}", f"{self.dataset}.{self.table()}"),
            "useLegacySql": False,
            "parameterMode": "NAMED",
            "timeoutMs": POLL_MS,
            "maxResults": PAGE_ROWS,
            "maximumBytesBilled": str(int(limit) * GIGABYTE),
            "requestId": str(uuid4()),
            **({"location": location} if location else {}),
            "queryParameters": [
                {"name": name, "parameterType": {"type": kind}, "parameterValue": {"value": value}}
                for name, (kind, value) in parameters.items()
            ],
        }

    def _finished(self, page: dict[str, Any], token: str = "") -> dict[str, Any]:
        """The page once its job is done; each request waits for it up to POLL_MS."""
        for _ in range(MAX_POLLS):
            if page.get("jobComplete"):
                return page
            page = self._results(page, token)
        raise Retryable("BigQuery has not finished the query yet.")

    def _results(self, page: dict[str, Any], token: str) -> dict[str, Any]:
        job = page.get("jobReference") or {}
        params = [("maxResults", str(PAGE_ROWS)), ("timeoutMs", str(POLL_MS))]
        params += [("location", str(job["location"]))] if job.get("location") else []
        params += [("pageToken", token)] if token else []
        name = _name(job.get("jobId"), "job")
        url = f"{self.base}/bigquery/v2/projects/{self.project}/queries/{name}"
        found = self.asker.json_of(self.asker.ask("GET", url, params=params))
        # A later answer need not repeat what the first said.
        return {"jobReference": job, **found}


def _name(value: Any, what: str) -> str:
    text = str(value or "").strip()
    if not _NAME.fullmatch(text):
        raise Permanent(
            f"The {what} {text[:60]!r} is no name of Google's: letters, digits and _ . : - only."
        )
    return text


def _cells(row: Any, names: list[str]) -> dict[str, Any]:
    cells = row.get("f") if isinstance(row, dict) else None
    if not isinstance(cells, list) or len(cells) != len(names):
        raise Permanent("A row of BigQuery's answer does not fit its schema.", "unreadable")
    return dict(zip(names, [cell.get("v") for cell in cells], strict=True))
