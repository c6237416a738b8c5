"""Every URL × method × actor. A route that is not declared here fails the build; so does a declared one that is gone.

For each declared method every actor is asked: those who may get through are never refused, those who may
not are refused in the one way that tells them nothing, and write nothing to the database. Undeclared
methods are refused to everybody, and write nothing either.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from pytest_django.plugin import DjangoDbBlocker

from projects.sdk_downloads import file_names
from tests.matrix import areas
from tests.matrix.access import (
    LOGIN,
    OWN,
    READ,
    A,
    Access,
    AnyKey,
    Api,
    Author,
    Door,
    LoggedIn,
    M,
    Matrix,
    NotViewer,
    O,
    Page,
    Public,
    V,
)
from tests.world import RAW, World, make_world
from traces import door_urls

ACTORS = ("anonymous", "viewer", "member", "admin", "owner", "stranger", "operator", *RAW)
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
# A project's own count of what its doors refused.
BOOKKEEPING = ["traces_ingesttally", "traces_ingestsample"]
_WRITTEN = """
SELECT relname, n_tup_ins + n_tup_upd + n_tup_del FROM pg_stat_xact_user_tables
WHERE n_tup_ins + n_tup_upd + n_tup_del > 0 AND relname <> ALL(%s)
"""


DOOR_AND_LIST: dict[str, Access] = {"POST": Door(names_project=True), "GET": Api(V, "read")}
# Doors whose pattern is no plain path: by name, with a path that leads there.
DOOR_PATHS = {
    "otlp_alias": "/api/public/otel/v1/traces",
    "otlp_other": "/otel/v1/metrics",
    "langfuse_health": "/api/public/health",
    "langfuse_projects": "/api/public/projects",
    "langfuse_traces": "/api/public/traces",
    "langfuse_trace": "/api/public/traces/no-such-token",
    "langfuse_observations": "/api/public/observations",
    "langfuse_observation": "/api/public/observations/no-such-token",
    "langfuse_sessions": "/api/public/sessions",
    "langfuse_session": "/api/public/sessions/no-such-token",
    "langfuse_scores": "/api/public/scores",
    "langfuse_score": "/api/public/scores/no-such-token",
    "langfuse_v2_scores": "/api/public/v2/scores",
    "langfuse_v2_score": "/api/public/v2/scores/no-such-token",
    "langfuse_not_here": "/api/public/v2/prompts/no-such-token",
}
NAMED = {
    str(entry.pattern): entry.name for entry in door_urls.urlpatterns if entry.name in DOOR_PATHS
}
BY_NAME = {name: route for route, name in NAMED.items()}

ROUTES: Matrix = {
    "healthz": {"GET": Public()},
    "readyz": {"GET": Public()},
    "metrics": {"GET": Public()},  # this machine only, or a token: tests/core/test_health.py
    "sdks/<str:name>": {"GET": Public()},  # pip, npm and curl have no session
    # --- doors, sharing two paths with the reading API
    "^v1/traces/?$": {"POST": Door(names_project=False)},
    "^api/public/ingestion/?$": {"POST": Door(names_project=False)},
    BY_NAME["otlp_alias"]: {"POST": Door(names_project=False)},
    BY_NAME["otlp_other"]: {"POST": Public()},  # a 404 in words for everybody
    BY_NAME["langfuse_health"]: {"GET": Public()},
    BY_NAME["langfuse_projects"]: {"GET": AnyKey()},
    BY_NAME["langfuse_not_here"]: dict.fromkeys(("GET", "POST", "PATCH", "DELETE"), AnyKey()),
    **{
        BY_NAME[f"langfuse_{name}"]: {"GET": AnyKey("read")}
        for name in ("traces", "trace", "observations", "observation", "sessions", "session")
    },
    **{
        BY_NAME[f"langfuse_{version}{name}"]: {"GET": AnyKey("read"), method: AnyKey("ingest")}
        for version in ("", "v2_")
        for name, method in (("scores", "POST"), ("score", "DELETE"))
    },
    r"^api/v1/projects/(?P<project>[\w.~-]{1,80})/traces/?$": DOOR_AND_LIST,
    r"^api/v1/projects/(?P<project>[\w.~-]{1,80})/costs/?$": DOOR_AND_LIST,
    # --- API
    "api/v1/openapi.json": {"GET": Public()},
    "api/v1/openapi.yaml": {"GET": Public()},
    "api/docs/": {"GET": Public()},
    "api/v1/projects": {
        "GET": Api(V, "read", is_listing=True),
        "POST": Api(V, "admin", is_listing=True, needs_person=True),  # the body names where
    },
    "api/v1/projects/<str:project>": {
        "GET": Api(V, "read"),
        "PATCH": Api(A, "admin"),
        "DELETE": Api(A, "admin"),
    },
    "api/v1/projects/<str:project>/keys": {"GET": Api(M, "admin"), "POST": Api(M, "admin")},
    "api/v1/projects/<str:project>/keys/<uuid:key>": {"DELETE": Api(M, "admin")},
    "api/v1/projects/<str:project>/keys/<uuid:key>/rotation": {"POST": Api(M, "admin")},
    "api/v1/projects/<str:project>/erasures": {"POST": Api(A, "admin")},
    "api/v1/projects/<str:project>/exports": {"GET": Api(V, "read"), "POST": Api(M, "read")},
    "api/v1/projects/<str:project>/exports/<uuid:job>/file": {"GET": Api(V, "read")},
    "api/v1/projects/<str:project>/jobs": {"GET": Api(V, "read")},
    "api/v1/projects/<str:project>/jobs/<uuid:job>": {"GET": Api(V, "read")},
    "api/v1/projects/<str:project>/jobs/<uuid:job>/cancellation": {"POST": Api(A, "admin")},
    "api/v1/projects/<str:project>/costs": DOOR_AND_LIST,
    "api/v1/projects/<str:project>/costs/records": {"GET": Api(V, "read")},
    **{
        f"api/v1/projects/<str:project>/costs/{part}": {"GET": Api(V, "read")}
        for part in ("series", "breakdown", "percentiles")
    },
    "api/v1/projects/<str:project>/models": {"GET": Api(V, "read")},
    "api/v1/projects/<str:project>/prices": {"GET": Api(V, "read")},
    "api/v1/organizations/<slug:organization>/prices": {
        "GET": Api(V, "read", needs_person=True),
        "POST": Api(A, "read", needs_person=True),
    },
    "api/v1/organizations/<slug:organization>/prices/<int:number>": {
        "GET": Api(V, "read", needs_person=True),
        "PUT": Api(A, "read", needs_person=True),
        "DELETE": Api(A, "read", needs_person=True),
    },
    "api/v1/organizations/<slug:organization>/prices/previews": {
        "POST": Api(A, "read", needs_person=True)
    },
    "api/v1/organizations/<slug:organization>/prices/previews/<uuid:job>": {
        "GET": Api(A, "read", needs_person=True)
    },
    "api/v1/organizations/<slug:organization>/prices/previews/<uuid:job>/application": {
        "POST": Api(A, "read", needs_person=True)
    },
    "api/v1/projects/<str:project>/traces": DOOR_AND_LIST,
    "api/v1/projects/<str:project>/traces/<str:trace_id>": {"GET": Api(V, "read")},
    "api/v1/projects/<str:project>/spans": {"GET": Api(V, "read")},
    "api/v1/projects/<str:project>/ingestion": {"GET": Api(V, "read")},
    "api/v1/projects/<str:project>/views": {"GET": Api(V, "read"), "POST": Api(V, "admin")},
    "api/v1/projects/<str:project>/views/<uuid:view>": {
        "GET": Api(V, "read"),
        "PATCH": Api(M, "admin"),
        "DELETE": Api(M, "admin"),
    },
    "api/v1/projects/<str:project>/trace-actions": {"POST": Api(M, "admin")},
    **{
        f"api/v1/projects/<str:project>/traces/<str:trace_id>/{part}": {"GET": Api(V, "read")}
        for part in ("spans", "messages", "graph")
    },
    "api/v1/projects/<str:project>/scores": {"GET": Api(V, "read"), "POST": Api(M, "ingest")},
    "api/v1/projects/<str:project>/scores/<str:score>": {
        "GET": Api(V, "read"),
        "DELETE": Api(M, "ingest"),
    },
    "api/v1/projects/<str:project>/score-definitions": {
        "GET": Api(V, "read"),
        "POST": Api(A, "admin"),
    },
    "api/v1/projects/<str:project>/score-definitions/<uuid:definition>": {
        "PATCH": Api(A, "admin"),
        "DELETE": Api(A, "admin"),
    },
    "api/v1/projects/<str:project>/traces/<str:trace_id>/comments": {
        "GET": Api(V, "read"),
        "POST": Api(M, "ingest"),
    },
    "api/v1/projects/<str:project>/comments/<uuid:comment>": {
        "PATCH": Api(M, "admin", needs_person=True),
        "DELETE": Api(M, "admin"),
    },
    "api/v1/projects/<str:project>/shares": {"GET": Api(M, "admin"), "POST": Api(M, "admin")},
    "api/v1/projects/<str:project>/shares/<uuid:share>": {"DELETE": Api(M, "admin")},
    "api/v1/projects/<str:project>/collections": {"GET": Api(V, "read"), "POST": Api(M, "ingest")},
    "api/v1/projects/<str:project>/collections/<uuid:collection>": {
        "GET": Api(V, "read"),
        "DELETE": Api(M, "ingest"),
    },
    "api/v1/projects/<str:project>/collections/<uuid:collection>/items": {
        "GET": Api(V, "read"),
        "POST": Api(M, "ingest"),
    },
    "api/v1/projects/<str:project>/collections/<uuid:collection>/items/<uuid:item>": {
        "PATCH": Api(M, "ingest"),
        "DELETE": Api(M, "ingest"),
    },
    "api/v1/projects/<str:project>/collections/<uuid:collection>/export": {
        "GET": Api(V, "read"),
    },
    **{
        f"api/v1/projects/<str:project>/{path}": {"GET": Api(V, "read")}
        for path in (
            "search",
            "sessions",
            "sessions/<ref:session>",
            "users",
            "users/<ref:user>",
            "errors",
        )
    },
    "api/v1/projects/<str:project>/errors/<slug:error>": {
        "GET": Api(V, "read"),
        "PATCH": Api(M, "ingest"),
    },
    # --- pages
    **{
        f"projects/<str:slug>/{path}": READ
        for path in (
            *("search/", "sessions/", "sessions.csv", "sessions/<ref:session_id>/"),
            *("users/", "users.csv", "users/<ref:user_id>/"),
            *("errors/", "errors.csv", "errors/<slug:fingerprint>/"),
        )
    },
    "projects/<str:slug>/errors/<slug:fingerprint>/status/": {"POST": Page(M)},
    **{
        f"projects/<str:slug>/traces/<str:trace_id>/feedback/{part}": READ
        for part in ("", "scores/", "comments/")
    },
    **{
        f"projects/<str:slug>/traces/<str:trace_id>/{path}": {"POST": Page(M)}
        for path in (
            "scores/",
            "scores/undo/",
            "scores/<str:score_id>/deletion/",
            "comments/",
            "comments/<uuid:comment_id>/deletion/",
            "comments/<uuid:comment_id>/resolution/",
        )
    },
    "projects/<str:slug>/traces/<str:trace_id>/comments/<uuid:comment_id>/": {"POST": Author()},
    "projects/<str:slug>/traces/<str:trace_id>/shares/": {"GET": Page(M), "POST": Page(M)},
    "projects/<str:slug>/scores/": READ,
    "projects/<str:slug>/scores/panels/summary/": READ,
    "projects/<str:slug>/scores/panels/scores.csv": READ,
    "projects/<str:slug>/dashboard/panels/feedback/": READ,
    "projects/<str:slug>/settings/scores/": {"GET": Page(), "POST": Page(A)},
    "projects/<str:slug>/settings/scores/<uuid:definition_id>/": {"GET": Page(A), "POST": Page(A)},
    "projects/<str:slug>/settings/scores/<uuid:definition_id>/archive/": {"POST": Page(A)},
    "projects/<str:slug>/settings/scores/<uuid:definition_id>/deletion/": {"POST": Page(A)},
    "projects/<str:slug>/settings/shares/": {"GET": Page(M)},
    "projects/<str:slug>/settings/shares/<uuid:link_id>/revocation/": {"POST": Page(M)},
    "projects/<str:slug>/collections/": {"GET": Page(), "POST": Page(M)},
    "projects/<str:slug>/collections/items/": {"GET": Page(M), "POST": Page(M)},
    "projects/<str:slug>/collections/<uuid:collection_id>/": {"GET": Page(), "POST": Page(M)},
    "projects/<str:slug>/collections/<uuid:collection_id>/deletion/": {"POST": Page(M)},
    "projects/<str:slug>/collections/<uuid:collection_id>/items/<uuid:item_id>/": {
        "POST": Page(M),
    },
    "projects/<str:slug>/collections/<uuid:collection_id>/items/<uuid:item_id>/deletion/": {
        "POST": Page(M),
    },
    "projects/<str:slug>/collections/<uuid:collection_id>/export.jsonl": READ,
    # Whoever has the link: tests/traces/test_share.py.
    **{
        f"share/<str:token>/{path}": {"GET": Public()}
        for path in (
            *("", "rows/", "changes/", "find/", "models/", "steps/<str:span_id>/"),
            *("steps/<str:span_id>/payload/", "steps/<str:span_id>/media/<int:number>/"),
        )
    },
    "": {"GET": LoggedIn()},
    **{
        f"{entry}/": {"GET": LoggedIn()}
        for entry in ("dashboard", "gateway", "models", "traces", "setup", "settings")
    },
    "me/": OWN,
    "me/appearance/": {"POST": LoggedIn()},
    "organizations/new/": OWN,
    "organizations/<slug:slug>/members/": {"GET": Page(), "POST": Page(A)},
    "organizations/<slug:slug>/members/<uuid:member_id>/": {"POST": Page(A)},
    "organizations/<slug:slug>/members/<uuid:member_id>/removal/": {"POST": Page(A)},
    "organizations/<slug:slug>/invitations/<uuid:invitation_id>/revocation/": {"POST": Page(A)},
    "organizations/<slug:slug>/settings/": {"GET": Page(A), "POST": Page(A)},
    "organizations/<slug:slug>/switch/": {"POST": Page()},
    "invitations/<str:token>/": {"GET": Public()},
    "invitations/<str:token>/acceptance/": {"POST": LoggedIn()},
    "projects/": {"GET": LoggedIn()},
    "projects/new/": {"GET": NotViewer(), "POST": NotViewer()},
    "jobs/": {"GET": LoggedIn()},
    "jobs/<uuid:job_id>/": READ,
    "jobs/<uuid:job_id>/cancellation/": {"POST": Page(A)},
    "projects/deletions/<uuid:job_id>/": READ,
    "projects/deletions/<uuid:job_id>/cancellation/": {"POST": Page(A)},
    r"^projects/(?P<slug>(?!(?:archived|deletions|new|spend)/)[-a-zA-Z0-9_]+)/$": READ,
    "projects/<slug:slug>/exports/": {"GET": Page(), "POST": Page(M)},
    "projects/<slug:slug>/exports/<uuid:job_id>/file/": READ,
    "projects/<slug:slug>/exports/<uuid:job_id>/removal/": {"POST": Page(M)},
    "projects/<slug:slug>/setup/": {"GET": Page(), "POST": Page(M)},
    "projects/<slug:slug>/settings/": {"GET": Page(), "POST": Page(A)},
    "projects/<slug:slug>/settings/data/": READ,
    "projects/<slug:slug>/settings/data/capture/": {"POST": Page(A)},
    "projects/<slug:slug>/settings/data/masking/": {"POST": Page(M)},
    "projects/<slug:slug>/settings/data/retention/": {"POST": Page(A)},
    "projects/<str:slug>/settings/data/storage/": READ,
    "projects/<str:slug>/settings/data/erasure/": {"POST": Page(A)},
    "organizations/<slug:slug>/key-rotation/": {"POST": Page(O)},
    "projects/<slug:slug>/settings/api-keys/": {"GET": Page(M)},
    "projects/<slug:slug>/settings/api-keys/new/": {"GET": Page(M), "POST": Page(M)},
    "projects/<slug:slug>/settings/api-keys/<uuid:key_id>/rotation/": {"POST": Page(M)},
    "projects/<slug:slug>/settings/api-keys/<uuid:key_id>/revocation/": {"POST": Page(M)},
    "projects/<slug:slug>/settings/danger/": {"GET": Page(A), "POST": Page(A)},
    "projects/<slug:slug>/settings/archive/": {"POST": Page(A)},
    "projects/<slug:slug>/models/": READ,
    "projects/<slug:slug>/models/export.csv": READ,
    "projects/<slug:slug>/models/detail/": READ,
    "organizations/<slug:slug>/prices/": READ,
    "organizations/<slug:slug>/prices/export.csv": READ,
    "organizations/<slug:slug>/prices/new/": {"GET": Page(A), "POST": Page(A)},
    "organizations/<slug:slug>/prices/repricing/": {"POST": Page(A)},
    "organizations/<slug:slug>/prices/previews/<uuid:job_id>/": {"GET": Page(A)},
    "organizations/<slug:slug>/prices/previews/<uuid:job_id>/application/": {"POST": Page(A)},
    "organizations/<slug:slug>/prices/<int:number>/": {"GET": Page(), "POST": Page(A)},
    "organizations/<slug:slug>/prices/<int:number>/removal/": {"POST": Page(A)},
    "projects/spend/": {"GET": LoggedIn()},
    "projects/<slug:slug>/dashboard/": READ,
    "projects/<slug:slug>/dashboard/export.csv": READ,
    "projects/<slug:slug>/dashboard/pulse/": READ,
    "projects/<slug:slug>/dashboard/filters/": READ,
    "projects/<slug:slug>/dashboard/arrangement/": {"GET": Page(), "POST": Page()},
    **{
        f"projects/<slug:slug>/dashboard/panels/{panel}/": READ
        for panel in (
            *("figures", "spend", "mix", "models", "who", "attention", "latency", "first-token"),
            *("tokens", "errors", "calls", "cost-per-call", "cache", "error-rate", "users"),
            *("features", "tags", "keys"),
        )
    },
    "traces/<str:trace_id>/": READ,
    "projects/<str:slug>/setup/first-trace/": READ,
    "projects/<str:slug>/setup/test-trace/": {"POST": Page(M)},
    "projects/<str:slug>/palette/": READ,
    "projects/<str:slug>/ingestion/": READ,
    "projects/<str:slug>/ingestion.csv": READ,
    "projects/<str:slug>/ingestion/understood/": READ,
    "projects/<str:slug>/traces/": READ,
    **{
        f"projects/<str:slug>/traces/panels/{panel}": READ
        for panel in (
            "facets/",
            "facet/",
            "volume/",
            "total/",
            "new/",
            "tail/",
            "suggestions/",
            "peek/<str:trace_id>/",
            "traces.csv",
        )
    },
    "projects/<str:slug>/traces/compare/": READ,
    "projects/<str:slug>/traces/panels/bulk/": {"POST": Page(M)},
    "projects/<str:slug>/traces/panels/bulk/undo/": {"GET": Page(M), "POST": Page(M)},
    "projects/<str:slug>/traces/panels/columns/": {"POST": Page()},
    "projects/<str:slug>/traces/panels/views/": {"POST": Page()},
    "projects/<str:slug>/traces/panels/views/restoration/": {"POST": Page()},
    "projects/<str:slug>/traces/panels/views/<uuid:view_id>/": {"POST": Page()},
    "projects/<str:slug>/traces/panels/views/<uuid:view_id>/deletion/": {"POST": Page(M)},
    "projects/<str:slug>/traces/<str:trace_id>/": READ,
    "projects/<str:slug>/traces/<str:trace_id>/rows/": READ,
    "projects/<str:slug>/traces/<str:trace_id>/changes/": READ,
    "projects/<str:slug>/traces/<str:trace_id>/find/": READ,
    "projects/<str:slug>/traces/<str:trace_id>/models/": READ,
    "projects/<str:slug>/traces/<str:trace_id>/log.csv": READ,
    "projects/<str:slug>/traces/<str:trace_id>/steps/<str:span_id>/payload/": READ,
    "projects/<str:slug>/traces/<str:trace_id>/steps/<str:span_id>/media/<int:number>/": READ,
    "projects/<str:slug>/traces/<str:trace_id>/trace.json": READ,
    "projects/<str:slug>/traces/<str:trace_id>/deletion/": {"POST": Page(M)},
    "projects/<str:slug>/traces/<str:trace_id>/steps/<str:span_id>/": READ,
}
# allauth's own pages (its tests cover them; ours see that each renders: tests/accounts/test_allauth_pages.py).
FOREIGN = ("accounts/", "admin/")
PARAMETERS = {
    "slug": lambda world, route: world.names[
        "organization" if route.startswith("organizations") else "project"
    ],
    "project": lambda world, route: world.names["project"],
    "name": lambda world, route: file_names()["go"],
    "trace_id": lambda world, route: world.names["trace_id"],
    "span_id": lambda world, route: world.names["span_id"],
    "key": lambda world, route: world.names["key_id"],
    "key_id": lambda world, route: world.names["key_id"],
    "member_id": lambda world, route: world.names["membership_id"],
    "invitation_id": lambda world, route: world.names["invitation_id"],
    "job_id": lambda world, route: world.names[
        "export_id" if "/exports/" in route else "preview_id" if "/prices/" in route else "job_id"
    ],
    "job": lambda world, route: world.names[
        "export_id" if "/exports/" in route else "preview_id" if "/prices/" in route else "job_id"
    ],
    "organization": lambda world, route: world.names["organization"],
    "number": lambda world, route: world.names["rule_number"] if "/prices/" in route else 0,
    "view_id": lambda world, route: world.names["view_id"],
    "view": lambda world, route: world.names["view_id"],
    "token": lambda world, route: "no-such-token",
    "comment_id": lambda world, route: world.names["comment_id"],
    "comment": lambda world, route: world.names["comment_id"],
    "score_id": lambda world, route: world.names["score_id"],
    "score": lambda world, route: world.names["score_id"],
    "definition_id": lambda world, route: world.names["definition_id"],
    "definition": lambda world, route: world.names["definition_id"],
    "link_id": lambda world, route: world.names["link_id"],
    "share": lambda world, route: world.names["link_id"],
    "collection_id": lambda world, route: world.names["collection_id"],
    "collection": lambda world, route: world.names["collection_id"],
    "item_id": lambda world, route: world.names["item_id"],
    "item": lambda world, route: world.names["item_id"],
    "session_id": lambda world, route: "s1",
    "session": lambda world, route: "s1",
    "user_id": lambda world, route: "u1",
    "user": lambda world, route: "u1",
    "fingerprint": lambda world, route: "abc123",
    "error": lambda world, route: "abc123",
}
for _area in areas():
    ROUTES.update(getattr(_area, "ROUTES", {}))
    PARAMETERS.update(getattr(_area, "PARAMETERS", {}))


def _patterns(patterns: list[Any], prefix: str = "") -> Iterator[tuple[str, URLPattern]]:
    for entry in patterns:
        route = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from _patterns(entry.url_patterns, route)
        else:
            yield route, entry


def _all_routes() -> dict[str, URLPattern]:
    found = {
        route: entry
        for route, entry in _patterns(get_resolver().url_patterns)
        if not route.startswith(FOREIGN)
    }
    return {r: e for r, e in found.items() if not (r.endswith("/") and r[:-1] in found)}


def test_every_route_is_declared_and_every_declaration_has_a_route() -> None:
    assert set(_all_routes()) == set(ROUTES)


def _path(route: str, entry: URLPattern, world: World) -> str:
    text = route
    if route in NAMED:
        return DOOR_PATHS[NAMED[route]]
    for name in entry.pattern.regex.groupindex:
        value = str(PARAMETERS[name](world, route))
        for marker in (
            f"<str:{name}>",
            f"<slug:{name}>",
            f"<uuid:{name}>",
            f"<int:{name}>",
            f"<ref:{name}>",
        ):
            text = text.replace(marker, value)
    if text.startswith("^"):
        path = {"traces": "traces", "costs": "costs"}
        if text in ("^v1/traces/?$", "^api/public/ingestion/?$"):
            return "/" + text[1:-3]
        for name in path:
            if text.endswith(f"/{name}/?$"):
                return f"/api/v1/projects/{world.names['project']}/{name}"
        return f"/projects/{world.names['project']}/"
    return f"/{text}"


def _written() -> dict[str, int]:
    """How many rows this transaction has written to each table so far, those it took back among them."""
    with connection.cursor() as cursor:
        cursor.execute(_WRITTEN, [BOOKKEEPING])
        return dict(cursor.fetchall())


def _ask(client: Client, method: str, path: str) -> tuple[int, str]:
    with transaction.atomic():
        response = client.generic(method, path, b"{}", content_type="application/json")
        if response.streaming:
            list(response.streaming_content)
        transaction.set_rollback(True)
    return response.status_code, response.headers.get("Location", "")


@pytest.fixture(scope="module")
def world(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[World]:
    """One for all routes: requests are rolled back, and it goes with the transaction around them."""
    with django_db_blocker.unblock(), transaction.atomic():
        yield make_world()
        transaction.set_rollback(True)


@pytest.mark.django_db
@pytest.mark.parametrize("route", sorted(ROUTES))
def test_route_lets_in_exactly_who_is_declared(world: World, route: str) -> None:
    """Every method for every actor."""
    path = _path(route, _all_routes()[route], world)
    declared = ROUTES[route]
    before = _written()
    for method in set(METHODS) - set(declared):
        for actor in ("anonymous", "owner", "key_admin"):
            _check_undeclared(world, actor, method, path)
    refused = {
        (method, actor)
        for method in declared
        for actor in ACTORS
        if declared[method].refusal(actor)
    }
    for method, actor in sorted(refused):
        _check_declared(world, actor, method, path, declared[method])
    assert _written() == before, "somebody who was refused has written"
    for method in declared:
        for actor in ACTORS:
            if (method, actor) not in refused:
                _check_declared(world, actor, method, path, declared[method])


def _check_declared(world: World, actor: str, method: str, path: str, access: Any) -> None:
    status, location = _ask(world.client(actor), method, path)
    refusal, what = access.refusal(actor), f"{actor} {method} {path} → {status} {location}"
    assert status < 500, what
    is_login = status == 302 and location.startswith("/accounts/login/")
    if refusal == LOGIN:
        assert is_login, what
    elif refusal is not None:
        assert status == refusal, what
    else:
        assert status not in (401, 403, 405), what
        assert not is_login, what
        assert status != 404 or any(n in path for n in ("no-such-token", "/v1/metrics")), what


def _check_undeclared(world: World, actor: str, method: str, path: str) -> None:
    """Refused to everybody."""
    status, location = _ask(world.client(actor), method, path)
    allowed = status in (401, 403, 404, 405) or location.startswith("/accounts/login/")
    assert allowed, f"{actor} {method} {path} → {status}"
