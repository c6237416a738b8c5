"""The file beside a FOCUS file: version, generator, columns, and what is not in it."""

import datetime as dt
import json
from uuid import UUID

from django.conf import settings

from accounts.models import Organization
from costs.exporting.ask import Asked
from costs.focus.columns import columns_of
from costs.focus.coverage import accounts_of, covered_spans
from costs.focus.recorded import unpriced_calls
from costs.focus.rows import stamp

_TYPES = {
    "text": "STRING",
    "amount": "DECIMAL(38,18)",
    "integer": "INTEGER",
    "time": "DATETIME",
    "json": "JSON",
}


def describe(
    owner: Organization, asked: Asked, rows: int, *, now: dt.datetime, project_ids: list[UUID]
) -> bytes:
    """JSON. Three queries and one a project."""
    spans = covered_spans(owner.pk, accounts_of(owner.pk), asked.first, asked.end)
    facts = {
        "FocusVersion": asked.version,
        "DataGenerator": "LLMLab",
        "DataGeneratorVersion": settings.LLMLAB_VERSION,
        "CreationDate": stamp(now),
        "DataSet": "CostAndUsage",
        "Organization": owner.slug,
        "FirstDay": asked.first.isoformat(),
        "LastDay": (asked.end - dt.timedelta(days=1)).isoformat(),
        "TimeZone": "UTC; charges of a bill begin and end with the provider's own billing days",
        "Rows": rows,
        "UnpricedCalls": unpriced_calls(project_ids, asked.start_at, asked.end_at, spans),
        "BilledPeriods": {
            provider: [[stamp(start), stamp(end)] for start, end in found]
            for provider, found in sorted(spans.items())
        },
        "Notes": [
            "Rows with x_CostSource sdk are what LLMLab recorded, not an invoice: BilledCost is the computed cost.",
            "UnpricedCalls were recorded without a known price; they have no row, because their cost is unknown.",
        ],
        "Columns": [
            {"ColumnName": one.name, "DataType": _TYPES[one.type], "Nullable": one.may_be_null}
            for one in columns_of(asked.version)
        ],
    }
    return json.dumps(facts, indent=2).encode()
