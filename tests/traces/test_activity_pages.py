"""The pages of sessions, users and errors: exact figures, order, pages, CSV, other tenants."""

import csv
import datetime as dt
import io
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEvent
from projects.models import Project
from tests.factories.projects import ProjectFactory
from tests.traces.spans import START, llm, span
from tests.traces.test_search_index import asked, read, store
from traces.activity.refs import RefConverter, ref_of
from traces.models import ErrorGroup, ErrorStatus

pytestmark = pytest.mark.django_db
WEIRD = (
    "a/b", "..", ".", "~x", "?a=1&b=%2F", "50%", " lead", "tail ", "line\nbreak", "tab\tin", "emoji 🎉/é", "a\\b", "#",
    "x" * 200, "ünï", "sessions.csv", "a b", "%2e%2e", "//", "a/",
)  # fmt: skip


@pytest.fixture
def project(acme: Any) -> Project:
    return ProjectFactory(organization=acme.organization, slug="shop", name="Shop")


@pytest.fixture
def reader(acme: Any, client_of: Any) -> Client:
    return client_of(acme.viewer)  # type: ignore[no-any-return]


def url(name: str, project: Project, **kwargs: str) -> str:
    return reverse(f"traces:{name}", kwargs={"slug": project.slug, **kwargs})


def get(client: Client, path: str) -> str:
    response = client.get(path)
    assert response.status_code == 200, response.content[:500]
    return response.content.decode()


def failing(number: int, *, message: str = "Timed out after {n} s", **fields: Any) -> Any:
    return span(
        f"f{number}",
        status="error",
        error_type="Timeout",
        error_message=message.format(n=number),
        **{"trace_id": f"e{number}", "kind": "tool", "name": "lookup", **fields},
    )


@pytest.mark.parametrize("session_id", WEIRD)
def test_a_session_of_any_id_has_a_page(project: Project, reader: Client, session_id: str) -> None:
    store(project, llm("a", session_id=session_id, user_id=session_id))
    read(project)
    for kind, param in (("session", "session_id"), ("user", "user_id")):
        path = url(f"{kind}_detail", project, **{param: session_id})
        assert get(reader, path)
        listed = get(reader, url(f"{kind}_list", project) + "?range=30d")
        assert f'href="{path}"' in listed.replace("&amp;", "&").replace("&#x27;", "'")


@pytest.mark.parametrize("value", WEIRD)
def test_an_id_survives_its_path(value: str) -> None:
    ref = ref_of(value)
    assert "/" not in ref
    assert ref not in (".", "..")
    assert RefConverter().to_python(ref) == value


@pytest.mark.parametrize("text", ["~", "~\x00", "~!!!!", "~" + "A" * 900, "\x00"])
def test_what_is_no_id_is_not_found(project: Project, reader: Client, text: str) -> None:
    from urllib.parse import quote

    assert reader.get(f"/projects/shop/sessions/{quote(text, safe='')}/").status_code == 404


def test_session_list_shows_sums_and_sorts(project: Project, reader: Client) -> None:
    store(
        project,
        llm("a", trace_id="t1", session_id="cheap", started_at=START),
        llm("b", trace_id="t2", session_id="dear", tokens=9000, started_at=START),
        llm("c", trace_id="t3", session_id="cheap", started_at=START + dt.timedelta(minutes=1)),
    )
    read(project)
    base = url("session_list", project)
    by_cost = get(reader, base + "?sort=-cost")
    assert by_cost.index(">dear<") < by_cost.index(">cheap<")
    newest = get(reader, base)
    assert newest.index(">cheap<") < newest.index(">dear<")
    assert "$0.0009" in newest  # two calls of $0.00045
    assert ">dear<" not in get(reader, base + "?q=chea")
    assert "must be one of" in get(reader, base + "?sort=colour")


def test_pages_by_cursor_hold_every_session_once(project: Project, reader: Client) -> None:
    store(project, *(llm("a", trace_id=f"t{n}", session_id=f"s{n:03}") for n in range(7)))
    read(project)
    from traces.activity import lists
    from traces.activity.specs import SESSIONS

    class Params(dict[str, str]):
        def getlist(self, key: str) -> list[str]:
            return [self[key]] if key in self else []

    for sort in ("-last", "last", "-cost", "turns", "-duration", "tokens", "errors", "-started"):
        state = lists.parse_state(SESSIONS, Params(sort=sort), now=timezone.now(), strict=True)  # type: ignore[arg-type]
        seen: list[str] = []
        after = ""
        while True:
            page = lists.page_of(project, state, after=after, limit=3)
            seen += [row.session_id for row in page.rows]
            if not page.after:
                break
            after = page.after
        assert sorted(seen) == [f"s{n:03}" for n in range(7)], sort
        back = lists.page_of(project, state, before=page.before, limit=3)
        assert [row.session_id for row in back.rows] == seen[3:6]


def test_session_page_has_turns_in_order_with_running_cost(
    project: Project, reader: Client
) -> None:
    store(
        project,
        llm("b", trace_id="t2", session_id="s", input=asked("And when?"), output="Monday",
            started_at=START + dt.timedelta(minutes=1)),
        llm("a", trace_id="t1", session_id="s", input=asked("Where is it?"), output="On its way"),
    )  # fmt: skip
    read(project)
    page = get(reader, url("session_detail", project, session_id="s"))
    places = [page.index(text) for text in ("Where is it?", "On its way", "And when?", "Monday")]
    assert places == sorted(places)
    assert "so far" in page
    assert page.count("$0.00045") >= 2


def test_user_page_adds_up(project: Project, reader: Client) -> None:
    store(
        project,
        llm("a", trace_id="t1", user_id="mina", session_id="s1"),
        llm("b", trace_id="t2", user_id="mina", session_id="s2"),
        llm("c", trace_id="t3", user_id="other"),
        failing(1, user_id="mina"),
    )
    read(project)
    page = get(reader, url("user_detail", project, user_id="mina"))
    assert "$0.0009" in page
    assert ">s1<" in page and ">s2<" in page  # noqa: PT018
    assert "Timeout" in page
    assert "gpt-5-mini" in page


def test_errors_are_grouped_and_counted(project: Project, reader: Client) -> None:
    store(project, *(failing(n, user_id=f"u{n % 2}") for n in range(1, 5)))
    store(project, failing(9, name="other tool"))
    read(project)
    groups = ErrorGroup.objects.filter(project=project).order_by("-spans")
    assert [(g.spans, g.traces, g.users, g.pattern, g.place) for g in groups] == [
        (4, 4, 2, "Timed out after <n> s", "lookup"),
        (1, 1, 0, "Timed out after <n> s", "other tool"),
    ]
    listed = get(reader, url("error_list", project) + "?sort=-count")
    assert "lookup" in listed
    page = get(reader, url("error_detail", project, fingerprint=groups[0].fingerprint))
    assert "Timed out after" in page
    assert page.count("data-row-link") == 4


def test_an_error_that_only_echoes_the_one_below_is_not_counted(project: Project) -> None:
    store(
        project,
        failing(1, trace_id="t", message="no disk"),
        failing(2, trace_id="t", message="no disk", name="agent", kind="agent"),
    )
    read(project)
    assert ErrorGroup.objects.filter(project=project).count() == 2  # siblings: two failures
    store(
        project,
        span("top", trace_id="x", status="error", error_type="Timeout", error_message="no disk"),
        failing(3, trace_id="x", message="no disk", parent_span_id="top"),
    )
    read(project)
    lookup = ErrorGroup.objects.get(project=project, place="lookup")
    assert (lookup.spans, lookup.traces) == (2, 2)
    assert ErrorGroup.objects.filter(project=project).count() == 2


def resolve(client: Client, project: Project, group: ErrorGroup, **fields: str) -> Any:
    path = url("error_status", project, fingerprint=group.fingerprint)
    return client.post(path, {"status": "resolved", **fields})


def test_a_resolved_error_comes_back_when_seen_again(
    project: Project, acme: Any, client_of: Any
) -> None:
    store(project, failing(1))
    read(project)
    group = ErrorGroup.objects.get(project=project)
    member = client_of(acme.member)
    assert resolve(member, project, group).status_code == 302
    group = ErrorGroup.objects.get(project=project)
    assert (group.status, group.changed_by) == (ErrorStatus.RESOLVED, acme.member.user)
    assert AuditEvent.objects.filter(action="error.resolved").count() == 1
    assert "No open errors" in get(member, url("error_list", project))
    store(project, failing(2, started_at=timezone.now() + dt.timedelta(seconds=5)))
    read(project)
    group = ErrorGroup.objects.get(project=project)
    assert (group.status, group.traces) == (ErrorStatus.OPEN, 2)
    assert group.reopened_at is not None


def test_resolved_for_the_next_release_waits_for_it(
    project: Project, acme: Any, client_of: Any
) -> None:
    store(project, failing(1, release="1.0"))
    read(project)
    resolve(
        client_of(acme.member),
        project,
        ErrorGroup.objects.get(project=project),
        in_next_release="1",
    )
    soon = timezone.now() + dt.timedelta(seconds=5)
    store(project, failing(2, release="1.0", started_at=soon))
    read(project)
    assert ErrorGroup.objects.get(project=project).status == ErrorStatus.RESOLVED
    store(project, failing(3, release="1.1", started_at=soon))
    read(project)
    assert ErrorGroup.objects.get(project=project).status == ErrorStatus.OPEN


def test_an_ignored_error_stays_ignored(project: Project, acme: Any, client_of: Any) -> None:
    store(project, failing(1))
    read(project)
    resolve(
        client_of(acme.member), project, ErrorGroup.objects.get(project=project), status="ignored"
    )
    store(project, failing(2, started_at=timezone.now() + dt.timedelta(seconds=5)))
    read(project)
    group = ErrorGroup.objects.get(project=project)
    assert (group.status, group.traces) == (ErrorStatus.IGNORED, 2)


def test_changing_a_status_denied(project: Project, acme: Any, globex: Any, client_of: Any) -> None:
    store(project, failing(1))
    read(project)
    group = ErrorGroup.objects.get(project=project)
    assert resolve(client_of(acme.viewer), project, group).status_code == 403
    assert resolve(client_of(globex.owner), project, group).status_code == 404
    assert resolve(Client(), project, group).status_code == 302
    assert ErrorGroup.objects.get(project=project).status == ErrorStatus.OPEN
    bad = resolve(client_of(acme.member), project, group, status="gone")
    assert bad.status_code == 400


@pytest.mark.parametrize("name", ["session", "user", "error"])
def test_pages_denied(project: Project, globex: Any, client_of: Any, name: str) -> None:
    store(project, failing(1, session_id="x", user_id="x"))
    read(project)
    key = ErrorGroup.objects.get(project=project).fingerprint if name == "error" else "x"
    param = {"session": "session_id", "user": "user_id", "error": "fingerprint"}[name]
    paths = [
        url(f"{name}_list", project),
        url(f"{name}_csv", project),
        url(f"{name}_detail", project, **{param: key}),
    ]
    for path in paths:
        assert client_of(globex.owner).get(path).status_code == 404
        assert Client().get(path).status_code == 302


def test_csv_has_the_filtered_rows_and_no_formula(project: Project, reader: Client) -> None:
    store(
        project,
        llm("a", trace_id="t1", session_id="=1+1"),
        llm("b", trace_id="t2", session_id="plain", model="nobody-knows-it"),
    )
    read(project)
    response = reader.get(url("session_csv", project) + "?sort=turns")
    rows = list(csv.DictReader(io.StringIO(b"".join(response.streaming_content).decode())))  # type: ignore[attr-defined]
    found = {row["session"]: row["cost_usd"] for row in rows}
    assert found == {"'=1+1": "0.000450000000", "plain": ""}


@pytest.mark.parametrize("name", ["session", "user", "error"])
def test_lists_stay_inside_their_query_budget(
    project: Project, reader: Client, name: str, django_assert_max_num_queries: Any
) -> None:
    store(
        project,
        *(failing(n, session_id=f"s{n}", user_id=f"u{n}", name="abcdefgh"[n]) for n in range(8)),
    )
    read(project)
    path = url(f"{name}_list", project)
    reader.get(path)
    with django_assert_max_num_queries(9):
        assert reader.get(path).status_code == 200


@pytest.mark.parametrize("name", ["session", "user", "error"])
def test_empty_lists_say_what_to_do(project: Project, reader: Client, name: str) -> None:
    page = get(reader, url(f"{name}_list", project))
    assert 'class="empty"' in page


def test_the_session_page_leads_admins_to_the_deletion_of_its_data(
    project: Project, acme: Any, client_of: Any
) -> None:
    store(project, llm("a", trace_id="t1", session_id="chat & 1"))
    read(project)
    page = url("session_detail", project, session_id="chat & 1")
    where = (
        f"/projects/{project.slug}/settings/data/?subject=session&amp;value=chat%20%26%201#erasure"
    )
    assert where in client_of(acme.admin).get(page).content.decode()
    assert "settings/data/?subject" not in client_of(acme.member).get(page).content.decode()
    form = client_of(acme.admin).get(where.replace("&amp;", "&")).context["erasure"]
    assert (form["subject"].value(), form["value"].value()) == ("session", "chat & 1")


def test_the_user_page_leads_admins_to_the_deletion_of_this_person(
    project: Project, acme: Any, client_of: Any
) -> None:
    store(project, llm("a", trace_id="t1", user_id="mina & co"))
    read(project)
    page = url("user_detail", project, user_id="mina & co")
    where = (
        f"/projects/{project.slug}/settings/data/?subject=user&amp;value=mina%20%26%20co#erasure"
    )
    assert where in client_of(acme.admin).get(page).content.decode()
    assert "settings/data/?subject" not in client_of(acme.member).get(page).content.decode()
    form = client_of(acme.admin).get(where.replace("&amp;", "&")).context["erasure"]
    assert (form["subject"].value(), form["value"].value()) == ("user", "mina & co")
    assert form["confirm"].value() is None
    trace = reverse("traces:trace_detail", kwargs={"slug": project.slug, "trace_id": "t1"})
    assert f"/projects/{project.slug}/search/?like=t1&amp;range=30d" in (
        client_of(acme.viewer).get(trace).content.decode()
    )
