"""Who may use the routes of an organisation's exports."""

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from core import jobs
from core.models import Job
from tests.factories.exports import (
    ExportDestinationFactory,
    ExportLinkFactory,
    ExportScheduleFactory,
)
from tests.matrix.access import READ, A, Access, Api, M, Matrix, Page, Public, V
from tests.world import World

_PAGES = "organizations/<slug:slug>/exports/"
_ONE = f"{_PAGES}<uuid:export_id>/"
_SCHEDULE = f"{_PAGES}schedules/<uuid:export_schedule_id>/"
_DESTINATION = f"{_PAGES}destinations/<uuid:export_destination_id>/"
_API = "api/v1/organizations/<slug:organization>/exports"
_API_SCHEDULE = f"{_API}/schedules/<uuid:export_schedule>"
_API_DESTINATION = f"{_API}/destinations/<uuid:export_destination>"
_READS: Access = Api(V, "read", needs_person=True)
_WORKS: Access = Api(M, "read", needs_person=True)
_RULES: Access = Api(A, "read", needs_person=True)
ROUTES: Matrix = {
    "exports/files/<str:export_token>/": {"GET": Public()},
    _PAGES: {"GET": Page(), "POST": Page(M)},
    _ONE: READ,
    f"{_ONE}file/": READ,
    **{f"{_ONE}{act}/": {"POST": Page(M)} for act in ("retry", "removal", "links")},
    f"{_PAGES}links/<uuid:export_link_id>/revocation/": {"POST": Page(M)},
    f"{_PAGES}schedules/": READ,
    f"{_PAGES}schedules/new/": {"GET": Page(M), "POST": Page(M)},
    _SCHEDULE: READ,
    f"{_SCHEDULE}edit/": {"GET": Page(M), "POST": Page(M)},
    **{f"{_SCHEDULE}{act}/": {"POST": Page(M)} for act in ("run", "pause", "removal")},
    f"{_PAGES}destinations/": READ,
    f"{_PAGES}destinations/new/": {"GET": Page(A), "POST": Page(A)},
    f"{_DESTINATION}edit/": {"GET": Page(A), "POST": Page(A)},
    **{f"{_DESTINATION}{act}/": {"POST": Page(A)} for act in ("check", "removal")},
    _API: {"GET": _READS, "POST": _WORKS},
    f"{_API}/focus": {"GET": _READS},
    f"{_API}/<uuid:export>": {"GET": _READS, "DELETE": _WORKS},
    f"{_API}/<uuid:export>/file": {"GET": _READS},
    # Who started it, and admins.
    f"{_API}/<uuid:export>/cancellation": {"POST": _RULES},
    f"{_API}/<uuid:export>/retry": {"POST": _WORKS},
    f"{_API}/<uuid:export>/links": {"GET": _WORKS, "POST": _WORKS},
    f"{_API}/links/<uuid:export_link>": {"DELETE": _WORKS},
    f"{_API}/schedules": {"GET": _READS, "POST": _WORKS},
    _API_SCHEDULE: {"GET": _READS, **dict.fromkeys(("PUT", "PATCH", "DELETE"), _WORKS)},
    f"{_API_SCHEDULE}/run": {"POST": _WORKS},
    f"{_API}/destinations": {"GET": _READS, "POST": _RULES},
    _API_DESTINATION: {"GET": _READS, "PUT": _RULES, "DELETE": _RULES},
    f"{_API_DESTINATION}/check": {"POST": _RULES},
}
PARAMETERS = {
    "export_id": lambda world, route: world.names["cost_export_id"],
    "export": lambda world, route: world.names["cost_export_id"],
    "export_link_id": lambda world, route: world.names["export_link_id"],
    "export_link": lambda world, route: world.names["export_link_id"],
    "export_schedule_id": lambda world, route: world.names["export_schedule_id"],
    "export_schedule": lambda world, route: world.names["export_schedule_id"],
    "export_destination_id": lambda world, route: world.names["export_destination_id"],
    "export_destination": lambda world, route: world.names["export_destination_id"],
    "export_token": lambda world, route: "no-such-token",
}


def extend(world: World) -> None:
    """A finished export with its file, a link to it, a schedule and a destination."""
    organization = world.organization
    job = jobs.create_job(
        kind="costs.export",
        title="Export FOCUS as CSV",
        organization_id=organization.pk,
        params={"kind": "focus", "format": "csv", "query": ""},
    )
    stored = default_storage.save(f"exports/organizations/{job.pk}/focus.csv", ContentFile(b"x"))
    file = {"name": "focus.csv", "file": stored, "bytes": 1, "rows": 0}
    Job.objects.filter(pk=job.pk).update(
        state=Job.State.DONE, result={"file": stored, "files": [file], "rows": 0}
    )
    link = ExportLinkFactory.create(organization=organization, job_id=job.pk)
    world.names |= {
        "cost_export_id": job.pk,
        "export_link_id": link.pk,
        "export_schedule_id": ExportScheduleFactory.create(organization=organization).pk,
        "export_destination_id": ExportDestinationFactory.create(
            organization=organization, endpoint_url="https://127.0.0.1:9"
        ).pk,
    }
