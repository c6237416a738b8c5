"""The price rules a writer prices with: remembered per process, never stale in what it commits.

A batch is priced with the rules this process remembers, without asking. The last statement of its transaction, which
raises the project's usage version, answers the rules' version as well, and locks the row that a change of rules must
raise too. So either the batch commits before the rules change, and re-pricing finds its records, or it sees another
version, rolls back, loads the rules (one query) and tries again. No query is added to a batch.
"""

from collections import OrderedDict
from uuid import UUID

from django.db import connection

from costs.price_rules import NO_RULES, RuleSet
from costs.selectors.price_rules import COLUMNS, rule_of

MAX_PROJECTS = 4096
_remembered: "OrderedDict[UUID, RuleSet]" = OrderedDict()
_LOAD = f"""
SELECT b.version, {", ".join(f"r.{name}" for name in COLUMNS)}
FROM projects_project p
JOIN costs_pricebook b ON b.organization_id = p.organization_id
LEFT JOIN costs_pricerule r ON r.organization_id = p.organization_id AND r.removed_at IS NULL
WHERE p.id = %s
"""  # noqa: S608


class StaleRulesError(Exception):
    """The organisation's price rules changed under a writer: load them and price again."""


def known_rules(project_id: UUID) -> RuleSet:
    """What this process knows of the project's rules. No query."""
    return _remembered.get(project_id, NO_RULES)


def load_rules(project_id: UUID) -> RuleSet:
    """The project's rules as they are now, remembered. One query: version and rules from one snapshot."""
    with connection.cursor() as cursor:
        cursor.execute(_LOAD, [project_id])
        rows = cursor.fetchall()
    rules = (
        RuleSet(rows[0][0], [rule_of(row[1:]) for row in rows if row[1] is not None])
        if rows
        else NO_RULES
    )
    while len(_remembered) >= MAX_PROJECTS:
        _remembered.popitem(last=False)
    _remembered[project_id] = rules
    return rules


def check(rules: RuleSet, version: int) -> None:
    """Raises StaleRulesError unless `rules` are those of `version`, the one of the writer's last statement."""
    if rules.version != version:
        raise StaleRulesError(f"Priced with rules {rules.version}, now {version}.")
