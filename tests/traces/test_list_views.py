"""Saved views, columns and density: whose they are, who may change them, what happens when things vanish."""

import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import AuditEvent, Role
from projects.models import Preference, Project
from tests.factories.accounts import MembershipFactory
from tests.factories.projects import ProjectFactory
from tests.factories.traces import TraceFactory
from traces.feedback.scores import ScoreItem, record_scores
from traces.models import SavedView

pytestmark = pytest.mark.django_db
LIST = "/projects/shop/traces/"
VIEWS = f"{LIST}panels/views/"


@pytest.fixture
def project() -> Project:
    return ProjectFactory(slug="shop")


@pytest.fixture
def people(project: Project) -> dict[str, Client]:
    found = {}
    for role in (Role.VIEWER, Role.MEMBER, Role.ADMIN):
        client = Client()
        client.force_login(MembershipFactory(organization=project.organization, role=role).user)
        found[role.value] = client
    return found


def make(
    client: Client, name: str = "My failures", query: str = "range=7d&status=error", **more: str
) -> SavedView:
    response = client.post(VIEWS, {"name": name, "query": query, **more})
    view = SavedView.objects.get(name=name)
    assert response["Location"].startswith(LIST)
    assert f"view={view.pk}" in response["Location"]
    return view


def test_a_view_is_its_authors_until_it_is_shared(people, project):
    view = make(people["viewer"])
    assert (view.query, view.is_shared, view.is_default) == ("range=7d&status=error", False, False)
    assert "My failures" in people["viewer"].get(LIST).content.decode()
    assert "My failures" not in people["member"].get(LIST).content.decode()
    assert people["member"].post(f"{VIEWS}{view.pk}/", {"do": "share"}).status_code == 404
    assert people["viewer"].post(f"{VIEWS}{view.pk}/", {"do": "share"}).status_code == 403
    view.refresh_from_db()
    assert view.is_shared is False


def test_viewers_neither_share_nor_set_the_default(people, project):
    for more in ({"is_shared": "1"}, {"is_default": "1"}):
        assert people["viewer"].post(VIEWS, {"name": "x", "query": "", **more}).status_code == 403
    assert not SavedView.objects.filter(project=project).exists()


def test_a_view_opens_to_an_address_that_spells_it_out(people, project):
    TraceFactory(project=project, name="bad", failed=True)
    TraceFactory(project=project, name="good")
    view = make(people["viewer"])
    response = people["viewer"].get(f"{LIST}?view={view.pk}", follow=True)
    assert response.redirect_chain == [(f"{LIST}?range=7d&status=error&view={view.pk}", 302)]
    assert [line["trace"].name for line in response.context["rows"]] == ["bad"]
    assert response.context["is_changed"] is False
    changed = people["viewer"].get(f"{LIST}?range=7d&view={view.pk}")
    assert changed.context["is_changed"] is True
    assert "Save changes to" in changed.content.decode()


def test_the_default_opens_when_the_address_names_no_filter(people, project):
    first = make(people["member"], "One", is_default="1")
    second = make(people["member"], "Two", "range=30d")
    people["admin"].post(f"{VIEWS}{first.pk}/", {"do": "default"})
    people["member"].post(f"{VIEWS}{second.pk}/", {"do": "default"})
    assert list(SavedView.objects.filter(project=project, is_default=True)) == [second]
    assert people["viewer"].get(LIST)["Location"] == f"{LIST}?range=30d&view={second.pk}"
    assert people["viewer"].get(f"{LIST}?range=24h").status_code == 200
    assert AuditEvent.objects.filter(action="trace_view.shared").count() == 2


def test_save_rename_and_a_name_taken_twice(people, project):
    view = make(people["member"])
    make(people["member"], "Other")
    people["member"].post(
        f"{VIEWS}{view.pk}/", {"do": "save", "query": "range=1h&q=cost:>1&after=x&peek=y"}
    )
    people["member"].post(f"{VIEWS}{view.pk}/", {"do": "rename", "name": "  Dear   ones "})
    view.refresh_from_db()
    assert (view.name, view.query) == ("Dear ones", "range=1h&q=cost%3A%3E1")
    response = people["member"].post(
        f"{VIEWS}{view.pk}/", {"do": "rename", "name": "Other"}, follow=True
    )
    assert "There is a view named" in response.content.decode()
    for name in ("", "x" * 81, "\x00"):
        people["member"].post(VIEWS, {"name": name, "query": ""})
    assert SavedView.objects.filter(project=project).count() == 2
    assert people["member"].post(f"{VIEWS}{view.pk}/", {"do": "explode"}).status_code == 400


def test_deleting_can_be_undone(people, project):
    view = make(people["member"], is_shared="1")
    response = people["member"].post(f"{VIEWS}{view.pk}/deletion/", follow=True)
    assert not SavedView.objects.filter(project=project).exists()
    undo = re.search(r'action="([^"]*restoration[^"]*)"', response.content.decode())[1].replace(
        "&amp;", "&"
    )
    assert people["viewer"].post(undo).status_code == 403
    people["member"].post(undo)
    back = SavedView.objects.get(project=project)
    assert (back.name, back.query, back.is_shared) == ("My failures", "range=7d&status=error", True)
    assert people["member"].post(f"{VIEWS}restoration/?token=nonsense").status_code == 400


def test_another_tenants_view_is_not_there(people, project):
    view = make(people["member"], is_shared="1")
    stranger = Client()
    stranger.force_login(MembershipFactory().user)
    for path in (f"{VIEWS}{view.pk}/", f"{VIEWS}{view.pk}/deletion/"):
        assert stranger.post(path, {"do": "save", "query": ""}).status_code == 404
    sibling = ProjectFactory(organization=project.organization, slug="sibling")
    assert (
        people["member"]
        .post(f"/projects/{sibling.slug}/traces/panels/views/{view.pk}/deletion/")
        .status_code
        == 404
    )
    assert SavedView.objects.get().query == "range=7d&status=error"


def test_what_a_view_names_may_vanish(people, project):
    TraceFactory(project=project, name="here")
    view = make(people["member"])
    SavedView.objects.filter(project=project, pk=view.pk).update(
        query="range=7d&q=colour:blue", layout={"columns": ["cost", "gone"], "density": 7}
    )
    response = people["member"].get(f"{LIST}?range=7d&q=colour:blue&view={view.pk}")
    assert response.context["columns"] == ("name", "cost")
    assert "Columns that no longer exist are left out: gone." in response.context["notes"]
    assert [line["trace"].name for line in response.context["rows"]] == ["here"]
    assert (
        people["member"].get(f"{LIST}?view=01234567-89ab-7def-8123-456789abcdef").context["notes"]
    )


def heads(response) -> list[str]:
    return [head["label"] for head in response.context["heads"]]


def test_columns_are_kept_for_the_person_or_with_the_view(people, project):
    TraceFactory(project=project, tags=["gold"], release="v7")
    columns = f"{LIST}panels/columns/"
    people["viewer"].post(
        columns,
        {
            "columns": ["cost", "tags", "name", "nonsense"],
            "density": "compact",
            "query": "range=7d",
        },
    )
    response = people["viewer"].get(LIST)
    assert heads(response) == ["Cost", "Tags", "Trace"]
    assert 'data-density="compact"' in response.content.decode()
    assert heads(people["member"].get(LIST))[0] == "Started"
    assert Preference.objects.get().value == {
        "columns": ["cost", "tags", "name"],
        "density": "compact",
    }
    view = make(people["member"], is_shared="1")
    people["member"].post(
        columns, {"columns": ["name", "release"], "density": "normal", "view": str(view.pk)}
    )
    assert heads(people["viewer"].get(f"{LIST}?range=7d&view={view.pk}")) == ["Trace", "Release"]
    # A viewer may not change the shared view: theirs is kept for them.
    people["viewer"].post(
        columns, {"columns": ["name", "id"], "density": "normal", "view": str(view.pk)}
    )
    view.refresh_from_db()
    assert view.layout == {"columns": ["name", "release"], "density": "normal"}
    people["viewer"].post(columns, {"reset": "1"})
    assert not Preference.objects.exists()


def test_columns_move_without_javascript(people, project):
    response = people["viewer"].post(
        f"{LIST}panels/columns/",
        {"columns": ["started", "name", "cost"], "move": "cost:up", "density": "normal"},
    )
    assert response["Location"] == f"{LIST}#columns"
    assert heads(people["viewer"].get(LIST)) == ["Started", "Cost", "Trace"]
    assert Preference.objects.get().value["columns"] == ["started", "cost", "name"]


def test_scores_are_a_column_that_costs_one_query_when_it_is_chosen(people, project):
    for number in range(3):
        TraceFactory(project=project, trace_id=f"t{number}", name=f"run {number}")
    values = (("t0", "thumbs", True), ("t0", "thumbs", False), ("t1", "resolution", "solved"))
    items = [ScoreItem(name=name, value=value, trace_id=where) for where, name, value in values]
    record_scores(project_id=project.pk, items=items, now=timezone.now())
    queries = []
    for columns in (["name", "cost"], ["name", "scores"]):
        people["viewer"].post(f"{LIST}panels/columns/", {"columns": columns, "density": "normal"})
        people["viewer"].get(LIST)
        with CaptureQueriesContext(connection) as seen:
            page = people["viewer"].get(LIST)
        queries.append(len(seen))
    assert queries[1] == queries[0] + 1
    shown = {
        line["trace"].trace_id: [f"{fact.name} {fact.shown}" for fact in line["scores"]]
        for line in page.context["rows"]
    }
    assert shown == {"t0": ["thumbs 50.0%"], "t1": ["resolution solved"], "t2": []}


def test_text_can_be_found_by_meaning_with_the_other_filters_kept(people, project):
    TraceFactory(project=project, trace_id="t0", name="refund policy", status="error")
    page = people["viewer"].get(LIST, {"q": 'status:error "refund policy"', "range": "7d"})
    found = {one["label"]: one["href"] for one in page.context["match_links"]}
    assert found == {
        label: f"/projects/shop/search/?q=refund+policy&range=7d&within=status%3Derror&match={mode}"
        for label, mode in (("Meaning", "meaning"), ("Both", "both"))
    }
    assert people["viewer"].get(LIST, {"q": "status:error"}).context["match_links"] == []
    within = people["viewer"].get(found["Both"])
    assert within.context["within_text"] == "status:error"
    assert within.context["unfiltered_href"] == (
        "/projects/shop/search/?q=refund+policy&match=both&range=7d"
    )
