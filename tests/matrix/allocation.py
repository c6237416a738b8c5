"""The routes of allocation."""

import datetime as dt

from costs.models import AllocationRule, Statement, Team
from tests.matrix.access import READ, A, Api, M, Matrix, Page, V
from tests.world import World

_PAGES = "organizations/<slug:slug>/allocation/"
_API = "api/v1/organizations/<slug:organization>"
_READ = Api(V, "read", needs_person=True)
_CHANGE = Api(A, "read", needs_person=True)
ROUTES: Matrix = {
    _PAGES: READ,
    f"{_PAGES}teams/new/": {"GET": Page(A), "POST": Page(A)},
    f"{_PAGES}teams/<uuid:team_id>/": {"GET": Page(A), "POST": Page(A)},
    f"{_PAGES}teams/<uuid:team_id>/archive/": {"POST": Page(A)},
    f"{_PAGES}rules/": {"POST": Page(A)},
    f"{_PAGES}rules/<uuid:rule_id>/": {"POST": Page(A)},
    f"{_PAGES}statements/": READ,
    f"{_PAGES}statements/compute/": {"POST": Page(M)},
    f"{_PAGES}statements/<str:month>/": READ,
    f"{_PAGES}statements/<str:month>/close/": {"POST": Page(A)},
    f"{_PAGES}statements/<str:month>/export.csv": READ,
    f"{_API}/teams": {"GET": _READ, "POST": _CHANGE},
    f"{_API}/teams/<uuid:team_id>": {"GET": _READ, "PUT": _CHANGE, "DELETE": _CHANGE},
    f"{_API}/allocation-rules": {"GET": _READ, "POST": _CHANGE},
    f"{_API}/allocation-rules/<uuid:rule_id>": {"DELETE": _CHANGE},
    f"{_API}/statements": {"GET": _READ},
    f"{_API}/statements/<str:month>": {"GET": _READ},
    f"{_API}/statements/<str:month>/closure": {"POST": _CHANGE},
}
PARAMETERS = {
    "team_id": lambda world, route: world.names["team_id"],
    "rule_id": lambda world, route: world.names["rule_id"],
    "month": lambda world, route: "2026-01",
}


def extend(world: World) -> None:
    """A team, its rule and a month."""
    team = Team.objects.create(organization=world.organization, name="Search")
    rule = AllocationRule.objects.create(
        organization=world.organization, team=team, position=0, field="tag", value="a*"
    )
    Statement.objects.create(organization=world.organization, month=dt.date(2026, 1, 1))
    world.names |= {"team_id": team.pk, "rule_id": rule.pk}
