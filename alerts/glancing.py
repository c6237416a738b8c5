"""A look at budgets that writes nothing: whether what was spent since says anything new of them.

Most seconds it does not, and to find that out takes two statements instead of a judgement. What the last judgement read
is remembered in this process, for as long as the rules, budgets and states in the database are the very rows it read.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.db import connection
from django.db.models import F
from django.db.models.expressions import RawSQL

from alerts.deciding import is_news, state_of
from alerts.evaluate import State, step, terms_of
from alerts.measures.budgets import readings_of
from alerts.models import Alert, AlertState
from alerts.terms import Terms
from costs.models import Budget

Pair = tuple[Alert, Budget]

# Rules with budgets that are remembered; beyond it all are forgotten and judged once more.
MOST = 20_000

# A row's version: another one after each change, whoever made it and however.
_VERSION = "hashtextextended({0}.id::text || ' ' || {0}.xmin::text || ' ' || {0}.ctid::text, 0)"
_RULES = (
    "SELECT {0} FROM alerts_alert a"
    " WHERE a.organization_id = o.organization_id AND a.is_enabled AND a.kind = 'budget'"
)
# As plain SQL: this is asked every second while calls come, and building the query cost more than answering it.
_MOVED = f"""
SELECT o.organization_id, o.versions,
  ({_RULES.format(f"sum({_VERSION.format('a')})")})
    + coalesce((SELECT sum({_VERSION.format("b")}) FROM costs_budget b
                WHERE b.organization_id = o.organization_id), 0),
  coalesce((SELECT sum({_VERSION.format("s")}) FROM alerts_alertstate s
            WHERE s.alert_id IN ({_RULES.format("a.id")})), 0)
FROM (
  SELECT a.organization_id, (
    SELECT coalesce(sum(u.version), 0)::bigint FROM costs_projectusage u
    WHERE u.project_id IN (SELECT p.id FROM projects_project p WHERE p.organization_id = a.organization_id)) AS versions
  FROM (SELECT DISTINCT organization_id FROM alerts_alert WHERE is_enabled AND kind = 'budget') a) o
LEFT JOIN alerts_budgetwatch w ON w.organization_id = o.organization_id
WHERE w.versions IS DISTINCT FROM o.versions ORDER BY o.organization_id
"""  # noqa: S608 - constants of this module


@dataclass(frozen=True)
class Ledger:
    """How an organisation's ledger stands, and of which rows its rules and budgets, and their states, are made."""

    versions: int
    rules: Decimal
    states: Decimal


@dataclass(frozen=True)
class _Known:
    """What the last judgement of an organisation read and left."""

    ledger: Ledger
    pairs: Sequence[Pair]
    terms: Mapping[UUID, Terms]
    states: Mapping[tuple[UUID, str], State]


_known: dict[UUID, _Known] = {}


def moved() -> dict[UUID, Ledger]:
    """Organisations with budget rules whose ledger is not the one they were judged by. One query."""
    with connection.cursor() as cursor:
        cursor.execute(_MOVED)
        return {row[0]: Ledger(*row[1:]) for row in cursor.fetchall()}


def worth_judging(found: Mapping[UUID, Ledger], now: datetime) -> dict[UUID, Ledger]:
    """Those of which something may have to be decided or written. The queries of costs.budgets.selectors.standings,
    none where nothing is remembered."""
    left, looked = dict(found), dict[UUID, _Known]()
    for organization_id, ledger in found.items():
        known = _known.get(organization_id)
        if known and (known.ledger.rules, known.ledger.states) == (ledger.rules, ledger.states):
            del left[organization_id]
            if known.ledger.versions != ledger.versions:
                looked[organization_id] = known
    for organization_id in _with_news(looked, now):
        left[organization_id] = found[organization_id]
        del looked[organization_id]
    for organization_id, known in looked.items():
        _known[organization_id] = replace(known, ledger=found[organization_id])
    return left


def _with_news(known: Mapping[UUID, _Known], now: datetime) -> set[UUID]:
    """Where a judgement would not leave everything as it is."""
    news = set()
    for reading in readings_of([pair for one in known.values() for pair in one.pairs], now):
        organization_id = reading.alert.organization_id
        mine = known[organization_id]
        before = mine.states.get((reading.alert.pk, reading.key), State())
        after, decisions = step(mine.terms[reading.alert.pk], before, reading, now)
        if decisions or is_news(before, after):
            news.add(organization_id)
    return news


def remember(found: Mapping[UUID, Ledger], pairs: Iterable[Pair]) -> None:
    """What was just judged: how the ledgers stood before anything was read, each rule with its budgets. One query."""
    of_organization: dict[UUID, list[Pair]] = defaultdict(list)
    for pair in pairs:
        of_organization[pair[0].organization_id].append(pair)
    rules = {alert.pk: alert for many in of_organization.values() for alert, _ in many}
    rows = AlertState.objects.filter(
        alert__organization__in=found, alert__kind="budget", alert__is_enabled=True
    )
    states: dict[UUID, dict[tuple[UUID, str], State]] = defaultdict(dict)
    versions: dict[UUID, Decimal] = defaultdict(Decimal)
    version = RawSQL(_VERSION.format("alerts_alertstate"), ())  # noqa: S611 - a constant
    for row in rows.annotate(version=version, owner=F("alert__organization_id")):
        states[row.owner][row.alert_id, row.key] = state_of(row)
        versions[row.owner] += row.version
    if sum(len(one.pairs) for one in _known.values()) + len(rules) > MOST:
        _known.clear()
    for organization_id, ledger in found.items():
        mine = of_organization[organization_id]
        _known[organization_id] = _Known(
            replace(ledger, states=versions[organization_id]),
            mine,
            {alert.pk: terms_of(alert) for alert, _ in mine},
            states[organization_id],
        )
