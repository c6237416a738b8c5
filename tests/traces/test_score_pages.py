"""Scores on pages: thumbs and forms on the trace, undo, the list with its summary and CSV, the dashboard's panel."""

import csv
import datetime as dt
import io
import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from projects.models import Project
from tests.factories.feedback import ScoreDefinitionFactory, ScoreFactory
from tests.factories.projects import ProjectFactory
from tests.factories.traces import SpanFactory, TraceFactory
from traces.models import Score, ScoreDefinition
from traces.score_filters import parse_score_filters
from traces.selectors.score_list import Bar, distribution, name_summaries

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


@pytest.fixture
def shop(acme: Any) -> Project:
    project = ProjectFactory(organization=acme.organization, slug="shop")
    SpanFactory(trace=TraceFactory(project=project, trace_id="t1"), span_id="s1")
    return project


def url(name: str, **more: Any) -> str:
    return reverse(f"traces:{name}", kwargs={"slug": "shop", **more})


def give(client: Client, **data: str) -> Any:
    return client.post(url("annotation_set", trace_id="t1"), data, headers=HTMX)


def undo(client: Client, answer: Any) -> Any:
    token = re.search(r'name="token" value="([^"]+)"', answer.content.decode())
    assert token is not None
    return client.post(url("annotation_undo", trace_id="t1"), {"token": token[1]}, headers=HTMX)


def values(project: Project) -> list[tuple[str, float | None, str, str]]:
    return list(
        Score.objects.filter(project=project)
        .order_by("name", "span_id")
        .values_list("name", "value", "text", "span_id")
    )


def test_a_thumb_is_given_turned_and_taken_back(shop, acme, client_of):
    client = client_of(acme.member)
    give(client, name="thumbs", value="up")
    score = Score.objects.get(project=shop)
    assert (score.value, score.data_type, score.source, score.author) == (1.0, "boolean", "annotation", acme.member.user)  # fmt: skip  # noqa: E501
    give(client, name="thumbs", value="down")
    assert values(shop) == [("thumbs", 0.0, "", "")]
    answer = give(client, name="thumbs", value="down")
    assert "thumbs taken back" in answer.content.decode()
    assert values(shop) == []


def test_undo_brings_back_what_was_there(shop, acme, client_of):
    client = client_of(acme.member)
    first = give(client, name="thumbs", value="up", reason="fine")
    second = give(client, name="thumbs", value="down", reason="wrong")
    undo(client, second)
    score = Score.objects.get(project=shop)
    assert (score.value, score.reason) == (1.0, "fine")
    undo(client, first)
    assert values(shop) == []


def test_another_persons_undo_is_refused_denied(shop, acme, client_of):
    answer = give(client_of(acme.member), name="thumbs", value="up")
    assert undo(client_of(acme.admin), answer).status_code == 400
    assert values(shop) == [("thumbs", 1.0, "", "")]


def test_each_person_and_each_step_has_its_own(shop, acme, client_of):
    give(client_of(acme.member), name="thumbs", value="up")
    give(client_of(acme.member), name="thumbs", value="down", step="s1")
    answer = give(client_of(acme.admin), name="thumbs", value="up")
    assert values(shop) == [("thumbs", 1.0, "", ""), ("thumbs", 1.0, "", ""), ("thumbs", 0.0, "", "s1")]  # fmt: skip
    assert '<span class="num">2</span>' in answer.content.decode()


def test_defined_scores_are_offered_and_checked(shop, acme, client_of):
    ScoreDefinitionFactory(project=shop, name="stars", min_value=1, max_value=5)
    ScoreDefinitionFactory(project=shop, name="tone", data_type="categorical", categories=["kind", "rude"])  # fmt: skip
    client = client_of(acme.member)
    page = client.get(url("scores_part", trace_id="t1"), headers=HTMX).content.decode()
    assert 'name="value" step="any" required min="1.0" max="5.0"' in page
    assert "<option>rude</option>" in page
    give(client, name="stars", value="4")
    give(client, name="tone", value="kind", reason="said please")
    assert values(shop) == [("stars", 4.0, "", ""), ("tone", None, "kind", "")]
    bad = give(client, name="stars", value="9")
    assert (bad.status_code, bad.json()["detail"]) == (400, "value is 9.0; stars is at most 5.")
    assert give(client, name="stars", value="many").json()["detail"] == "stars is a number."


def test_without_javascript_the_page_of_its_own_answers(shop, acme, client_of):
    client = client_of(acme.member)
    answer = client.post(url("annotation_set", trace_id="t1"), {"name": "thumbs", "value": "up", "step": "s1"})  # fmt: skip  # noqa: E501
    assert answer["Location"] == url("trace_feedback", trace_id="t1") + "?step=s1"
    page = client.get(answer["Location"]).content.decode()
    assert "thumbs: yes." in page
    assert 'aria-pressed="true"' in page


def test_viewers_and_strangers_score_nothing_denied(shop, acme, globex, client_of):
    assert give(client_of(acme.viewer), name="thumbs", value="up").status_code == 403
    assert give(client_of(globex.owner), name="thumbs", value="up").status_code == 404
    assert give(Client(), name="thumbs", value="up")["HX-Redirect"].startswith("/accounts/login/")
    assert values(shop) == []
    page = client_of(acme.viewer).get(url("scores_part", trace_id="t1"), headers=HTMX)
    assert "<form" not in page.content.decode()


def test_own_scores_go_others_need_an_admin(shop, acme, client_of):
    score = ScoreFactory(project=shop, author=acme.owner.user)
    address = url("score_delete", trace_id="t1", score_id=score.score_id)
    assert client_of(acme.member).post(address).status_code == 403
    assert Score.objects.count() == 1
    assert client_of(acme.admin).post(address, headers=HTMX).status_code == 200
    assert Score.objects.count() == 0


def summaries(project: Project, query: str = "range=7d") -> Any:
    from django.http import QueryDict

    filters = parse_score_filters(QueryDict(query), now=timezone.now())
    return filters, name_summaries(project, filters)


def test_summary_counts_means_and_bins(shop, django_assert_num_queries):
    now = timezone.now()
    for days, value in ((0, 1.0), (0, 0.0), (2, 0.5), (30, 9.0)):
        ScoreFactory(project=shop, value=value, scored_at=now - dt.timedelta(days=days))
    for text in ("rude", "kind", "kind"):
        ScoreFactory(project=shop, name="tone", data_type="categorical", value=None, text=text)
    ScoreFactory(name="helpful", value=77)
    with django_assert_num_queries(3):
        _, (helpful, tone) = summaries(shop)
    assert (helpful.count, helpful.mean, helpful.low, helpful.high) == (3, 0.5, 0.0, 1.0)
    assert (helpful.counts[-1], helpful.counts[-3], sum(helpful.counts)) == (2, 1, 3)
    assert (helpful.means[-1], helpful.means[-2]) == (0.5, None)
    assert (tone.count, tone.top, tone.top_count, tone.top_share) == (3, "kind", 2, 2 / 3)


def test_distributions(shop):
    for value in (0.0, 0.05, 0.95, 1.0):
        ScoreFactory(project=shop, value=value)
    for value in (1.0, 1.0, 0.0):
        ScoreFactory(project=shop, name="ok", data_type="boolean", value=value)
    ScoreFactory(project=shop, name="same", value=7)
    filters, found = summaries(shop)
    by_name = {summary.name: distribution(shop, filters, summary) for summary in found}
    assert [bar.count for bar in by_name["helpful"]] == [2, 0, 0, 0, 0, 0, 0, 0, 0, 2]
    assert [(bar.label, bar.count) for bar in by_name["ok"]] == [("Yes", 2), ("No", 1)]
    assert by_name["same"] == [Bar("7", 1, 7.0, 7.0)]


def test_the_list_page_panel_and_csv(shop, acme, client_of, django_assert_max_num_queries):
    ScoreFactory(project=shop, score_id="a", reason="=cmd()", author=acme.member.user)
    ScoreFactory(project=shop, score_id="b", name="tone", data_type="categorical", value=None, text="rude")  # fmt: skip
    for n in range(60):
        ScoreFactory(project=shop, score_id=f"n{n}", value=n)
    client = client_of(acme.viewer)
    with django_assert_max_num_queries(9):
        page = client.get(url("score_list"))
    assert len(page.context["rows"]) == 50
    assert len(client.get(page.context["older_href"]).context["rows"]) == 12
    panel = client.get(url("score_summary_panel") + "?name=tone", headers=HTMX).content.decode()
    assert "How tone spreads" in panel
    text = b"".join(client.get(url("score_csv") + "?name=tone&name=helpful&max=0.5")).decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [(row["id"], row["value"], row["reason"]) for row in rows] == [("n0", "0.0", ""), ("a", "0.5", "'=cmd()")]  # fmt: skip  # noqa: E501
    notes = client.get(url("score_list") + "?min=x&after=zzz&colour=1").context["notes"]
    assert len(notes) == 3


def test_the_dashboards_panel_follows_its_range(
    shop, acme, client_of, django_assert_max_num_queries
):
    ScoreFactory(project=shop)
    ScoreFactory(project=shop, scored_at=timezone.now() - dt.timedelta(days=20), environment="dev")
    client = client_of(acme.viewer)
    shown = {"HX-Current-URL": "http://testserver/projects/shop/dashboard/?range=24h"}
    with django_assert_max_num_queries(8):
        panel = client.get(url("feedback_panel"), headers=HTMX | shown)
    assert panel.context["total"] == 1
    assert client.get(url("feedback_panel") + "?range=30d", headers=HTMX).context["total"] == 2
    assert (
        client.get(url("feedback_panel") + "?range=30d&environment=dev", headers=HTMX).context[
            "total"
        ]
        == 1
    )
    assert client.get(url("feedback_panel") + "?range=rubbish", headers=HTMX).status_code == 200


def test_definitions_are_made_changed_archived_and_deleted_by_admins(shop, acme, client_of):
    client = client_of(acme.admin)
    data = {"name": "stars", "data_type": "numeric", "min_value": "1", "max_value": "5"}
    assert client.post(url("definition_list"), data).status_code == 302
    definition = ScoreDefinition.objects.get(project=shop)
    bad = client.post(url("definition_list"), data | {"name": "x", "max_value": "0"})
    assert (bad.status_code, ScoreDefinition.objects.count()) == (422, 1)
    one = {"definition_id": definition.pk}
    client.post(url("definition_edit", **one), {"min_value": "0", "max_value": "3"})
    client.post(url("definition_archive", **one), {"archived": "1"})
    definition.refresh_from_db()
    assert (definition.min_value, definition.max_value) == (0.0, 3.0)
    assert definition.archived_at is not None
    ScoreFactory(project=shop, name="stars", value=2)
    assert client_of(acme.member).post(url("definition_delete", **one)).status_code == 403
    assert ScoreDefinition.objects.count() == 1
    client.post(url("definition_delete", **one))
    assert (ScoreDefinition.objects.count(), Score.objects.count()) == (0, 1)


def test_panels_opened_by_themselves_lead_to_the_page(shop, acme, client_of):
    client = client_of(acme.viewer)
    for name in ("feedback_panel", "score_summary_panel"):
        assert client.get(url(name) + "?range=7d")["Location"] == url("score_list") + "?range=7d"
