"""The routes of the explorer's pages and of saved reports."""

from tests.factories.reports import CostReportFactory, ReportRecipientFactory
from tests.matrix.access import READ, Api, LoggedIn, M, Matrix, Page, Public, V
from tests.world import World

_COSTS = "organizations/<slug:slug>/costs/"
_API = "api/v1/organizations/<slug:organization>/reports"
_ONE_API = f"{_API}/<uuid:report>"
_ONE = f"{_COSTS}reports/<uuid:report_id>/"
_READS = Api(V, "read", needs_person=True)
_WORKS = Api(M, "read", needs_person=True)
ROUTES: Matrix = {
    "costs/": {"GET": LoggedIn()},
    "costs/reports/unsubscribe/<str:subscription>/": {"GET": Public(), "POST": Public()},
    _COSTS: READ,
    f"{_COSTS}export.csv": READ,
    f"{_COSTS}filters/": READ,
    f"{_COSTS}reports/": READ,
    f"{_COSTS}reports/export.csv": READ,
    f"{_COSTS}reports/new/": {"GET": Page(M), "POST": Page(M)},
    _ONE: {"GET": Page(M), "POST": Page(M)},
    f"{_ONE}schedule/": {"POST": Page(M)},
    f"{_ONE}sending/": {"POST": Page(M)},
    f"{_ONE}deletion/": {"POST": Page(M)},
    _API: {"GET": _READS, "POST": _WORKS},
    _ONE_API: {"GET": _READS, "PATCH": _WORKS, "DELETE": _WORKS},
    f"{_ONE_API}/answer": {"GET": _READS},
    f"{_ONE_API}/schedule": {"GET": _READS, "PUT": _WORKS, "DELETE": _WORKS},
    f"{_ONE_API}/sendings": {"POST": _WORKS},
}
PARAMETERS = {
    "report": lambda world, route: world.names["report_id"],
    "report_id": lambda world, route: world.names["report_id"],
    "subscription": lambda world, route: world.names["subscription"],
}


def extend(world: World) -> None:
    """A member's report, shared and sent to its author."""
    from costs.explorer.mails import token_of

    author = world.people["member"]
    report = CostReportFactory.create(
        organization=world.organization, author=author, is_shared=True
    )
    recipient = ReportRecipientFactory.create(schedule__report=report, user=author)
    world.names |= {"report_id": report.pk, "subscription": token_of(recipient)}
