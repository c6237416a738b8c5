"""What a person or program may ask for as a budget, checked and normalised.

`read_draft` is the only way in: forms, the API and the preview go through it, so they refuse the same things in the
same words.
"""

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

from core.drafts import Reader
from core.errors import DomainError
from core.person_formats import time_zones
from costs.budgets.crossings import Terms
from costs.models import (
    MAX_ROLLING_DAYS,
    MAX_THRESHOLDS,
    BudgetPeriod,
    BudgetScope,
)
from projects.access import parse_uuid
from projects.models import ApiKey, Project

FIELDS = (
    "name", "scope", "value", "project", "period", "rolling_days", "time_zone", "amount_usd", "thresholds",
    "is_hard", "starts_on", "ends_on", "note",
)  # fmt: skip
WHOLE = (BudgetScope.ORGANIZATION, BudgetScope.PROJECT)
MAX_AMOUNT = Decimal(10_000_000)
MAX_MARK = 1000
FIRST_DAY, LAST_DAY = dt.date(2000, 1, 1), dt.date(2100, 12, 31)
_DIGITS = Decimal("1e-12")


class InvalidBudgetError(DomainError):
    """A budget that cannot be; the detail says what to change."""

    code = "invalid_budget"


_reader = Reader(InvalidBudgetError)
_invalid, _text, _choice = _reader.invalid, _reader.text, _reader.choice


@dataclass(frozen=True, kw_only=True)
class BudgetDraft:
    """A checked budget that is not saved (yet)."""

    organization_id: UUID
    name: str
    scope: str
    value: str
    project: Project | None
    period: str
    rolling_days: int | None
    time_zone: str
    amount_usd: Decimal
    thresholds: list[int]
    is_hard: bool
    starts_on: dt.date | None
    ends_on: dt.date | None
    note: str

    @property
    def project_id(self) -> UUID | None:
        return self.project.pk if self.project else None

    @property
    def terms(self) -> Terms:
        return Terms(self.amount_usd, tuple(self.thresholds), self.is_hard)


def read_draft(organization_id: UUID, data: Mapping[str, Any]) -> BudgetDraft:
    """A draft from a form or a JSON body. At most two queries (project, API key).

    Raises InvalidBudgetError naming field, value and rule.
    """
    scope = _choice(data, "scope", BudgetScope.values)
    project, value = _target(organization_id, scope, data)
    period = _choice(data, "period", BudgetPeriod.values)
    starts, ends = _day(data, "starts_on"), _day(data, "ends_on")
    if starts and ends and ends < starts:
        raise _invalid("ends_on", ends, f"not before starts_on ({starts})")
    name = _text(data, "name", 120)
    if not name:
        raise _invalid("name", "", "what people call this budget")
    return BudgetDraft(
        organization_id=organization_id,
        name=name,
        scope=scope,
        value=value,
        project=project,
        period=period,
        rolling_days=_rolling_days(data, period),
        time_zone=_zone(data),
        amount_usd=_amount(data.get("amount_usd")),
        thresholds=_thresholds(data.get("thresholds")),
        is_hard=_flag(data, "is_hard"),
        starts_on=starts,
        ends_on=ends,
        note=_text(data, "note", 1000),
    )


def _target(
    organization_id: UUID, scope: str, data: Mapping[str, Any]
) -> tuple[Project | None, str]:
    """The project and the value a scope needs."""
    value, ref = _text(data, "value", 200), _text(data, "project", 80)
    if scope in WHOLE and value:
        raise _invalid("value", value, f"empty: a budget of the {scope} counts every call of it")
    if scope == BudgetScope.ORGANIZATION and ref:
        raise _invalid("project", ref, "empty for the whole organisation; choose the scope project")
    if scope == BudgetScope.PROJECT and not ref:
        raise _invalid("project", "", "the project whose calls count")
    if scope not in WHOLE and not value:
        raise _invalid("value", "", _WHAT[scope])
    if scope == BudgetScope.KEY:
        return _key(organization_id, value, ref)
    return (_project(organization_id, ref) if ref else None), value


_WHAT = {
    "team": "the team's name, as under Allocation or in the tag team:<name> of calls",
    "user": "the user's id, as your calls send it",
    "key": "the id of an API key of LLMLab",
    "model": "the model's name, as your calls are recorded",
    "tag": "the tag, as your calls send it",
    "agent": "the agent's name, as your calls send it",
}


def _project(organization_id: UUID, ref: str) -> Project:
    uid = parse_uuid(ref)
    named = {"pk": uid} if uid else {"slug": ref}
    found = (
        Project.objects.filter(organization_id=organization_id, **named)
        .exclude(status=Project.Status.DELETING)
        .first()
    )
    if found is None:
        raise _invalid("project", ref, "a project of this organisation, by slug or id")
    return found


def _key(organization_id: UUID, value: str, ref: str) -> tuple[Project, str]:
    """An API key names its project."""
    uid = parse_uuid(value)
    projects = Project.objects.filter(organization_id=organization_id)
    key = (
        ApiKey.objects.select_related("project").filter(pk=uid, project__in=projects).first()
        if uid
        else None
    )
    if key is None:
        raise _invalid("value", value, "the id of an API key of a project of this organisation")
    if ref not in ("", key.project.slug, str(key.project_id)):
        raise _invalid("project", ref, f"the key's own project ({key.project.slug}), or empty")
    return key.project, str(key.pk)


def _flag(data: Mapping[str, Any], name: str) -> bool:
    value = data.get(name)
    if value in (None, ""):
        return False
    if not isinstance(value, bool):
        raise _invalid(name, value, "true or false")
    return value


def _zone(data: Mapping[str, Any]) -> str:
    name = _text(data, "time_zone", 64) or "UTC"
    if name not in time_zones():
        raise _invalid("time_zone", name, "a time zone such as UTC or Europe/Berlin")
    return name


def _rolling_days(data: Mapping[str, Any], period: str) -> int | None:
    value = data.get("rolling_days")
    if period != BudgetPeriod.ROLLING:
        if value not in (None, ""):
            raise _invalid("rolling_days", value, "empty unless the period is rolling")
        return None
    return _whole(value, "rolling_days", 2, MAX_ROLLING_DAYS, "how many days, from")


def _whole(value: object, field: str, low: int, high: int, what: str) -> int:
    text = str(value).strip() if isinstance(value, (str, int)) else ""
    is_whole = not isinstance(value, bool) and text.isascii() and text.isdigit() and len(text) < 6
    if not is_whole or not low <= int(text) <= high:
        raise _invalid(field, "" if value is None else value, f"{what} {low} to {high}")
    return int(text)


def _amount(value: object) -> Decimal:
    """Strings and whole numbers: a float has already lost digits."""
    rule = f"US dollars above 0 and up to {MAX_AMOUNT:,} with at most 12 decimals, as text"
    if isinstance(value, bool) or not isinstance(value, (str, int, Decimal)):
        raise _invalid("amount_usd", "" if value is None else value, rule)
    text = str(value).strip().removeprefix("$").strip()
    # 18,000 and 18,000.50: a comma stands for thousands only where it stands like one.
    if re.fullmatch(r"\d{1,3}(,\d{3})+(\.\d+)?", text):
        text = text.replace(",", "")
    try:
        found = Decimal(text[:40]) if text.isascii() else Decimal("NaN")
    except InvalidOperation:
        raise _invalid("amount_usd", value, rule) from None
    if not found.is_finite() or not 0 < found <= MAX_AMOUNT or found != found.quantize(_DIGITS):
        raise _invalid("amount_usd", value, rule)
    return found


def _thresholds(value: object) -> list[int]:
    """Percents, from a list or from text such as `50, 80`; sorted, 100 left out because it always counts."""
    if value is None:
        return []
    if isinstance(value, str):
        value = [part for part in re.split(r"[\s,;%]+", value) if part]
    if not isinstance(value, (list, tuple)):
        raise _invalid("thresholds", value, "a list of percents such as [50, 80]")
    marks = {_whole(one, "thresholds", 1, MAX_MARK, "whole percents, each from") for one in value}
    found = sorted(marks - {100})
    if len(found) > MAX_THRESHOLDS:
        raise _invalid("thresholds", found, f"at most {MAX_THRESHOLDS} percents")
    return found


def _day(data: Mapping[str, Any], name: str) -> dt.date | None:
    value = data.get(name)
    if value in (None, ""):
        return None
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        found = value
    else:
        try:
            found = dt.date.fromisoformat(str(value)[:40])
        except ValueError:
            raise _invalid(name, value, "a day such as 2026-11-01, or empty") from None
    if not FIRST_DAY <= found <= LAST_DAY:
        raise _invalid(name, value, f"between {FIRST_DAY} and {LAST_DAY}")
    return found
