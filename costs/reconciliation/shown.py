"""Cells and checked prices shaped for pages."""

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse

from core.formats import plain_decimal
from core.ranges import instant
from costs.models import PriceCheck, ReconciledCell
from costs.price_rules import PRICE_KEYS
from costs.reconciliation.selectors import Sums
from costs.reconciliation.words import KINDS, evidence_of, per_million
from projects.models import Project

ZERO = Decimal(0)
GOOD, FAIR = Decimal("0.98"), Decimal("0.9")


def tone_of(sums: Sums) -> str:
    """The badge's colour for a coverage."""
    if sums.coverage is None:
        return ""
    return "good" if sums.coverage >= GOOD else "warn" if sums.coverage >= FAIR else "bad"


class CellShown:
    """A cell with what its rows and links need. Nothing here asks the database beyond prefetched causes."""

    def __init__(self, cell: ReconciledCell, projects: Mapping[str, Project] | None = None) -> None:
        self.cell, self._projects = cell, projects or {}

    @property
    def gap_usd(self) -> Decimal:
        gap: Decimal = self.cell.billed_usd - self.cell.recorded_usd
        return gap

    @cached_property
    def causes(self) -> list[dict[str, Any]]:
        """The weightiest first, with words and evidence."""
        rows = sorted(self.cell.causes.all(), key=lambda one: abs(one.amount_usd), reverse=True)
        return [
            {
                "kind": row.kind,
                "words": KINDS[row.kind],
                "usd": row.amount_usd,
                "evidence": [evidence_of(one) for one in row.evidence],
            }
            for row in rows
        ]

    @cached_property
    def classes(self) -> list[dict[str, Any]]:
        """Tier × token class: both sides' quantity and money."""
        sums: dict[tuple[str, str], dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
        for line in self.cell.lines:
            own = sums[line.get("tier", ""), line.get("token_class", "")]
            for name in _FIGURES:
                own[name] += Decimal(line.get(name, "0"))
        return [
            {
                "tier": tier or "not said",
                "token_class": name.replace("_", " ") or "not said",
                **values,
                "gap_usd": values["billed_usd"] - values["recorded_usd"],
            }
            for (tier, name), values in sorted(sums.items())
        ]

    @cached_property
    def billed_keys(self) -> list[dict[str, Any]]:
        """The bill by sub-account and key, most money first, each with a link to its lines."""
        sums: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
        for line in self.cell.lines:
            if "billed_usd" in line:
                sums[line.get("sub_account", ""), line.get("key", "")] += Decimal(
                    line["billed_usd"]
                )
        rows = sorted(sums.items(), key=lambda item: item[1], reverse=True)
        return [
            {
                "sub_account": sub_account,
                "key": key,
                "usd": usd,
                "query": urlencode(
                    {
                        "provider": self.cell.provider,
                        "from": self.cell.day,
                        "to": self.cell.day,
                        "sub_account": sub_account or "-",
                        "key": key or "-",
                    }
                ),
            }
            for (sub_account, key), usd in rows
        ]

    @cached_property
    def projects(self) -> list[dict[str, Any]]:
        """The records by project, most money first, each with a link to its calls."""
        sums: dict[str, Decimal] = defaultdict(Decimal)
        for line in self.cell.lines:
            if line.get("project"):
                sums[line["project"]] += Decimal(line.get("recorded_usd", "0"))
        rows = sorted(sums.items(), key=lambda item: item[1], reverse=True)
        return [
            {
                "project": self._projects.get(pk),
                "usd": usd,
                "url": self._traces(self._projects.get(pk)),
            }
            for pk, usd in rows
        ]

    def _traces(self, project: Project | None) -> str:
        if project is None:
            return ""
        start = dt.datetime.combine(self.cell.day, dt.time(), dt.UTC)
        span = f"{instant(start)}..{instant(start + dt.timedelta(days=1))}"
        query = urlencode({"range": span, "provider": self.cell.provider, "model": self.cell.model})
        return f"{reverse('traces:trace_list', kwargs={'slug': project.ref})}?{query}"


_FIGURES = ("billed_quantity", "billed_usd", "recorded_quantity", "recorded_usd")


def check_rows(rows: Sequence[PriceCheck], slug: str, *, may_set: bool) -> list[dict[str, Any]]:
    """Checks with prices as people write them; where the bill differs, the price form filled with the bill's price."""
    return [
        {
            "check": row,
            "ours": "" if row.our_price_usd is None else per_million(str(row.our_price_usd)),
            "theirs": ""
            if row.billed_price_usd is None
            else per_million(str(row.billed_price_usd)),
            "set_url": _set_url(row, slug) if may_set else "",
        }
        for row in rows
    ]


def _set_url(row: PriceCheck, slug: str) -> str:
    if row.state != PriceCheck.State.DIFFERS or row.billed_price_usd is None:
        return ""
    if row.token_class not in PRICE_KEYS:
        return ""
    per = PRICE_KEYS[row.token_class][1]
    query = {
        "kind": "override",
        "provider": row.provider,
        "model": row.model,
        "service_tier": row.service_tier if row.service_tier != "standard" else "",
        "valid_from": row.first_day,
        f"price_{row.token_class}": plain_decimal(row.billed_price_usd * per),
    }
    return f"{reverse('costs:price_create', args=[slug])}?{urlencode(query)}"
