"""OpenAI's bill: the organisation's Costs API, and its Usage APIs for the quantities.

Costs come by day, project, line item and key; an organisation that cannot group by key answers 400 and is asked
without. There is no model field: the line item names it. Money is in whole units of the currency, as a number or as
text. A line nobody can read keeps its money and its own words.
"""

import datetime as dt
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from core.access_fields import Field
from core.http import OutboundClient
from costs.providers.asking import Asker, Params
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

BASE = "https://api.openai.com/v1"
LABEL = "OpenAI"
DAY = dt.timedelta(days=1)
COST_GROUPS = ("project_id", "line_item", "api_key_id")
MOST_DAYS = 30
STANDARD = frozenset({"", "default", "standard", "auto"})
TIERS = ("batch", "flex", "priority")
_MODEL = re.compile(r"[\w.:/-]+")
# Which Usage APIs there are: what a row counts, in what unit, and how its rows may be split.
_BY_ALL = ("project_id", "api_key_id", "model")
COUNTS: dict[str, tuple[str, str, str, tuple[str, ...]]] = {
    "embeddings": ("input_tokens", "tokens", "input", _BY_ALL),
    "moderations": ("input_tokens", "tokens", "input", _BY_ALL),
    "images": ("images", "images", "output_image", _BY_ALL),
    "audio_speeches": ("characters", "characters", "output_audio", _BY_ALL),
    "audio_transcriptions": ("seconds", "seconds", "input_audio", _BY_ALL),
    "web_search_calls": ("num_requests", "requests", "web_search", _BY_ALL),
    "file_search_calls": ("num_requests", "requests", "other", ("project_id", "api_key_id")),
    "code_interpreter_sessions": ("num_sessions", "sessions", "other", ("project_id",)),
    "vector_stores": ("usage_bytes", "bytes", "other", ("project_id",)),
}
TOKENS = ("completions", "decisions")
UNITS = {
    "1000_tokens": ("tokens", Decimal(1000)),
    "duration_seconds": ("seconds", Decimal(1)),
    "duration_minutes": ("seconds", Decimal(60)),
    "duration_hours": ("seconds", Decimal(3600)),
}


class OpenAIBilling:
    """The plugin (costs.providers.base.BillingPlugin)."""

    provider = "openai"
    label = LABEL
    fields = (
        Field(
            "admin_key",
            "Admin key",
            "An organisation admin key (sk-admin-…) from Settings, Admin keys. A project key does not do.",
            is_secret=True,
        ),
        Field("base_url", "Base address", "Only for a proxy.", is_required=False, default=BASE),
    )
    overlap_days = 3
    # Few enough that a history shows its progress.
    days_per_read = 10

    def time_zone(self, settings: Settings) -> str:
        return "UTC"

    def check(
        self, client: OutboundClient, credentials: Credentials, settings: Settings
    ) -> Checked:
        """One day of costs."""
        today = dt.datetime.now(dt.UTC).date()
        asker, base = _asker(client, credentials), _base(settings)
        reply = asker.send(
            "GET",
            f"{base}/organization/costs",
            params=[*_days(today - DAY, today), ("limit", "1")],
        )
        asker.json_of(reply)
        organization = reply.headers.get("openai-organization", "")
        return Checked(
            account_name=organization,
            account_id=organization,
            scope="Every project of the organisation that the admin key belongs to.",
        )

    def read(
        self,
        client: OutboundClient,
        credentials: Credentials,
        settings: Settings,
        first_day: dt.date,
        end_day: dt.date,
    ) -> Reading:
        """Costs of these days and every usage report about them."""
        asker, base = _asker(client, credentials), _base(settings)
        days = _days(first_day, end_day)
        costs = _costs(asker, base, days)
        usage = [line for name in TOKENS for line in _tokens(asker, base, name, days)]
        for name in COUNTS:
            usage += _counts(asker, base, name, days)
        return Reading(costs, usage, asker.requests)


def _asker(client: OutboundClient, credentials: Credentials) -> Asker:
    return Asker(client, LABEL, {"authorization": f"Bearer {credentials.get('admin_key', '')}"})


def _base(settings: Settings) -> str:
    return str(settings.get("base_url") or BASE).rstrip("/")


def _days(first: dt.date, end: dt.date) -> list[tuple[str, str]]:
    return [
        ("start_time", str(int(_midnight(first).timestamp()))),
        ("end_time", str(int(_midnight(end).timestamp()))),
        ("bucket_width", "1d"),
    ]


def _midnight(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(), dt.UTC)


def _rows(
    asker: Asker, url: str, params: Params, limit: int
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Each row with the bounds of its bucket, as lines take them. An empty bucket has none."""
    for page in asker.pages(url, [*params, ("limit", str(limit))]):
        for bucket in page.get("data") or ():
            start = dt.datetime.fromtimestamp(int(bucket["start_time"]), dt.UTC)
            end = dt.datetime.fromtimestamp(int(bucket["end_time"]), dt.UTC)
            bounds = {"day": start.date(), "starts_at": start, "ends_at": end}
            for row in bucket.get("results") or ():
                yield bounds, row


def _grouped(groups: tuple[str, ...]) -> list[tuple[str, str]]:
    return [("group_by[]", name) for name in groups]


def _costs(asker: Asker, base: str, days: Params) -> list[CostLine]:
    url = f"{base}/organization/costs"
    try:
        rows = list(_rows(asker, url, [*days, *_grouped(COST_GROUPS)], 180))
    except Permanent as error:
        if error.code != "invalid_request":
            raise
        rows = list(_rows(asker, url, [*days, *_grouped(COST_GROUPS[:2])], 180))
    return [_cost_line(bounds, row) for bounds, row in rows]


def _cost_line(bounds: dict[str, Any], row: dict[str, Any]) -> CostLine:
    money = row.get("amount") or {}
    item = row.get("line_item") or ""
    model, token_class, tier = parse_line_item(item)
    quantity = optional_decimal(row.get("quantity"), "a quantity")
    unit = row.get("quantity_unit") or ""
    unit, factor = UNITS.get(unit, (unit, Decimal(1)))
    return CostLine(
        **bounds,
        source="costs",
        provider="openai",
        sub_account_id=row.get("project_id") or "",
        provider_key_id=row.get("api_key_id") or "",
        model=model,
        service_tier=tier,
        token_class=token_class,
        quantity=None if quantity is None else quantity * factor,
        unit=unit,
        amount=decimal_of(money.get("value"), "an amount"),
        currency=str(money.get("currency") or "usd").upper(),
        category=category_of(item),
        description=item,
    )


def parse_line_item(item: str) -> tuple[str, str, str]:
    """Model, token class and tier of a line item such as `gpt-6-astra, input_tokens`. What is not known is empty; a
    kind nobody knows is `other`."""
    name, comma, kind = item.rpartition(",")
    name = name.strip().lower()
    if not comma or not _MODEL.fullmatch(name):
        words = item.lower().replace("_", " ")
        return "", "web_search" if "web search" in words else "other" if item else "", ""
    words = kind.lower().replace("_", " ").replace("-", " ")
    tier = next((one for one in TIERS if one in words.split()), "")
    return name, _class_of(words), tier


def _class_of(words: str) -> str:
    if "cache" in words:
        is_write = "write" in words or "creation" in words
        return "cache_write" if is_write else "cache_read"
    if "web search" in words:
        return "web_search"
    for side in ("output", "input"):
        if side in words:
            kind = next((one for one in ("audio", "image") if one in words), "")
            return f"{side}_{kind}" if kind else side
    return "other"


def category_of(item: str) -> str:
    """costs.models.billing.ChargeCategory by the words of a line."""
    words = re.split(r"[^a-z]+", item.lower())
    if {"credit", "credits", "grant"} & set(words):
        return "credit"
    if {"tax", "vat", "gst"} & set(words):
        return "tax"
    if {"adjustment", "refund", "correction"} & set(words):
        return "adjustment"
    return "usage"


def _optional(
    asker: Asker, url: str, params: Params
) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """The rows of a report that not every organisation has."""
    try:
        return list(_rows(asker, url, params, MOST_DAYS + 1))
    except Permanent as error:
        if error.code in ("not_found", "invalid_request"):
            return []
        raise


def _shared(bounds: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
    tier = "batch" if row.get("batch") else str(row.get("service_tier") or "").lower()
    return {
        **bounds,
        "source": "usage",
        "provider": "openai",
        "sub_account_id": row.get("project_id") or "",
        "provider_key_id": row.get("api_key_id") or "",
        "model": str(row.get("model") or "").strip().lower(),
        "service_tier": "" if tier in STANDARD else tier[:32],
    }


def _tokens(asker: Asker, base: str, name: str, days: Params) -> Iterator[UsageLine]:
    url = f"{base}/organization/usage/{name}"
    groups = _grouped((*_BY_ALL, "service_tier", "batch"))
    rows = (
        list(_rows(asker, url, [*days, *groups], MOST_DAYS + 1))
        if name == "completions"
        else _optional(asker, url, [*days, *groups])
    )
    for bounds, row in rows:
        shared = _shared(bounds, row)
        for token_class, count in split_tokens(row).items():
            if count:
                yield UsageLine(**shared, token_class=token_class, quantity=count, unit="tokens")
        yield from _requests(shared, row)


def split_tokens(row: dict[str, Any]) -> dict[str, Decimal]:
    """A completions row as disjoint classes that add up to its input and output. `input_tokens` holds everything;
    older rows lack the finer counts."""

    def count(name: str) -> Decimal:
        return optional_decimal(row.get(name), name) or Decimal(0)

    read, write = count("input_cached_tokens"), count("input_cache_write_tokens")
    uncached = optional_decimal(row.get("input_uncached_tokens"), "input_uncached_tokens")
    if uncached is None:
        uncached = count("input_tokens") - read - write
    audio, image = count("input_audio_tokens"), count("input_image_tokens")
    said_audio, said_image = count("output_audio_tokens"), count("output_image_tokens")
    return {
        "input": uncached - audio - image,
        "input_audio": audio,
        "input_image": image,
        "cache_read": read,
        "cache_write": write,
        "output": count("output_tokens") - said_audio - said_image,
        "output_audio": said_audio,
        "output_image": said_image,
    }


def _counts(asker: Asker, base: str, name: str, days: Params) -> Iterator[UsageLine]:
    field, unit, token_class, groups = COUNTS[name]
    url = f"{base}/organization/usage/{name}"
    for bounds, row in _optional(asker, url, [*days, *_grouped(groups)]):
        shared = _shared(bounds, row)
        if count := optional_decimal(row.get(field), field):
            yield UsageLine(**shared, token_class=token_class, quantity=count, unit=unit)
        yield from _requests(shared, row)


def _requests(shared: dict[str, Any], row: dict[str, Any]) -> Iterator[UsageLine]:
    """The number of calls as a line of its own, so that adding lines up counts them once."""
    if number := optional_decimal(row.get("num_model_requests"), "num_model_requests"):
        yield UsageLine(
            **shared,
            token_class="request",  # noqa: S106 (what is counted, no secret)
            quantity=number,
            unit="requests",
            requests=int(number),
        )


PLUGIN = OpenAIBilling()
