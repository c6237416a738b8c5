"""Scores through the API: one, many, again, wrong; who may; pages."""

import gzip
import json
from typing import Any

import pytest
from django.test import Client

from projects.models import Project
from tests.factories.feedback import ScoreDefinitionFactory, ScoreFactory
from tests.factories.projects import ApiKeyFactory, ProjectFactory, raw_key
from traces.models import Score, ScoreDefinition

pytestmark = pytest.mark.django_db
BASE = "/api/v1/projects/shop"
READ, SEND, OTHER, ADMIN = 1, 2, 3, 4


@pytest.fixture
def shop(db: None) -> Project:
    project = ProjectFactory(slug="shop")
    ApiKeyFactory(project=project, raw=raw_key(READ), scopes=["read"])
    ApiKeyFactory(project=project, raw=raw_key(SEND), scopes=["ingest", "read"])
    ApiKeyFactory(project=ProjectFactory(), raw=raw_key(OTHER), scopes=["ingest", "read", "admin"])
    ApiKeyFactory(project=project, raw=raw_key(ADMIN), scopes=["ingest", "read", "admin"])
    return project


@pytest.fixture
def call(client: Client) -> Any:
    def ask(method: str, path: str, body: Any = None, *, key: int = SEND) -> Any:
        url = path if path.startswith("http") else BASE + path
        headers = {"Authorization": f"Bearer {raw_key(key)}"}
        if method == "get":
            return client.get(url, headers=headers)
        return getattr(client, method)(url, body, content_type="application/json", headers=headers)

    return ask


ONE = {"id": "s1", "trace_id": "t1", "name": "helpful", "value": 0.5, "reason": "short"}


def test_one_score_is_stored_corrected_and_recognised(call, shop):
    first = call("post", "/scores", ONE)
    assert (first.status_code, first.json()["result"]) == (201, "stored")
    again = call("post", "/scores", ONE)
    assert (again.status_code, again.json()["result"]) == (200, "duplicate")
    changed = call("post", "/scores", ONE | {"value": True, "type": "boolean"})
    assert (changed.status_code, changed.json()["result"]) == (200, "updated")
    found = call("get", "/scores/s1").json()
    assert (found["value"], found["type"], found["trace_id"]) == (True, "boolean", "t1")
    assert Score.objects.filter(project=shop).count() == 1


def test_a_batch_answers_item_by_item(call, shop):
    ScoreDefinitionFactory(project=shop, name="stars", min_value=1, max_value=5)
    bodies = [
        ONE,
        {"id": "s2", "session": "chat-7", "name": "stars", "value": 9},
        {"name": "tone", "value": "rude", "trace_id": "t1", "span_id": "a"},
        {"id": "s4", "trace_id": "t1", "name": "x", "value": 1, "colour": "red"},
        17,
    ]
    answer = call("post", "/scores", {"scores": bodies})
    assert answer.status_code == 207
    results = answer.json()["results"]
    assert [one["result"] for one in results] == ["stored", "rejected", "stored", "rejected", "rejected"]  # fmt: skip
    assert results[1] == {
        "index": 1, "id": "s2", "status": 400, "result": "rejected", "code": "invalid",
        "detail": "value is 9.0; stars is at most 5.", "fields": ["value"],
    }  # fmt: skip
    assert results[3]["fields"] == ["colour"]
    assert results[4]["detail"] == "A score must be an object."
    assert Score.objects.filter(project=shop).count() == 2


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"value": "high", "type": "numeric"}, "value"),
        ({"name": 7}, "name"),
        ({"metadata": [1]}, "metadata"),
        ({"scored_at": "yesterday"}, "scored_at"),
        ({"scored_at": 17}, "scored_at"),
        ({"reason": "x" * 10_001}, "reason"),
        ({"trace_id": ""}, "trace_id"),
        ({"unknown": 1}, "unknown"),
    ],
)
def test_a_wrong_field_is_named(call, shop, change, field):
    answer = call("post", "/scores", ONE | change)
    assert (answer.status_code, answer.json()["fields"]) == (400, [field])
    assert not Score.objects.exists()


@pytest.mark.parametrize(
    "body", [[], 7, None, {"scores": []}, {"scores": 1}, {"scores": [{}] * 1001}]
)
def test_a_body_that_is_no_score_is_refused(call, shop, body):
    assert call("post", "/scores", body).status_code == 400
    assert not Score.objects.exists()


def test_reading_keys_and_other_tenants_change_nothing_denied(call, shop):
    ScoreFactory(project=shop, score_id="s1")
    assert call("post", "/scores", ONE | {"value": 1}, key=READ).status_code == 403
    assert call("post", "/scores", ONE | {"value": 1}, key=OTHER).status_code == 404
    assert call("get", "/scores/s1", key=OTHER).status_code == 404
    assert call("delete", "/scores/s1", key=OTHER).status_code == 404
    assert call("delete", "/scores/s1", key=READ).status_code == 403
    assert Score.objects.get(project=shop, score_id="s1").value == 0.5


def test_an_archived_project_takes_no_scores_denied(call, shop):
    Project.objects.filter(pk=shop.pk).update(status="archived")
    answer = call("post", "/scores", ONE)
    assert (answer.status_code, answer.json()["code"]) == (403, "project_archived")
    assert not Score.objects.exists()


def test_deleting_twice_is_404(call, shop):
    ScoreFactory(project=shop, score_id="s1")
    assert call("delete", "/scores/s1").status_code == 204
    assert call("delete", "/scores/s1").status_code == 404


def walk(call: Any, path: str) -> list[str]:
    answer, found = call("get", path).json(), []
    while True:
        found += [one["id"] for one in answer["results"]]
        if not answer["next"]:
            return found
        answer = call("get", answer["next"]).json()


def test_pages_show_each_score_once_in_both_orders(call, shop):
    for n in range(7):
        ScoreFactory(project=shop, score_id=f"s{n}", value=n % 3)
    ScoreFactory(project=shop, score_id="cat", data_type="categorical", value=None, text="a")
    newest = walk(call, "/scores?limit=3")
    assert newest == ["cat", *(f"s{n}" for n in reversed(range(7)))]
    assert walk(call, "/scores?limit=2&sort=-value") == ["s5", "s2", "s4", "s1", "s6", "s3", "s0"]


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("name=helpful", {"a"}),
        ("name=helpful&name=tone", {"a", "b"}),
        ("source=eval", {"b"}),
        ("type=categorical", {"b"}),
        ("category=rude", {"b"}),
        ("min=0.4&max=0.6", {"a"}),
        ("session=chat", {"c"}),
        ("trace=t9", set()),
    ],
)
def test_filters(call, shop, query, ids):
    ScoreFactory(project=shop, score_id="a")
    ScoreFactory(project=shop, score_id="b", name="tone", data_type="categorical", value=None, text="rude", source="eval")  # fmt: skip  # noqa: E501
    ScoreFactory(project=shop, score_id="c", name="x", trace_id="", session_id="chat", value=7)
    assert {one["id"] for one in call("get", f"/scores?{query}").json()["results"]} == ids


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("source=robot", "source"), ("min=x", "min"), ("sort=name", "sort"), ("range=ever", "range"),
        ("cursor=abc", "cursor"), ("colour=red", "colour"), ("limit=0", "limit"), ("max=nan", "max"),
    ],
)  # fmt: skip
def test_a_wrong_filter_is_named(call, shop, query, field):
    answer = call("get", f"/scores?{query}")
    assert (answer.status_code, answer.json()["fields"]) == (400, [field])


def test_list_takes_a_fixed_number_of_queries(call, shop, django_assert_num_queries):
    for n in range(20):
        ScoreFactory(project=shop, score_id=f"s{n}")
    with django_assert_num_queries(6):  # key, its use (in a savepoint), project, scores
        call("get", "/scores")


def test_definitions_by_api(call, shop):
    body = {"name": "stars", "type": "numeric", "min_value": 1, "max_value": 5}
    made = call("post", "/score-definitions", body, key=ADMIN)
    assert made.status_code == 201
    path = f"/score-definitions/{made.json()['id']}"
    assert call("post", "/score-definitions", body, key=ADMIN).status_code == 409
    assert call("post", "/score-definitions", body, key=SEND).status_code == 403
    assert call("patch", path, {"max_value": 1}, key=ADMIN).status_code == 400
    changed = call("patch", path, {"max_value": 10, "archived": True}, key=ADMIN).json()
    assert (changed["min_value"], changed["max_value"], changed["archived"]) == (1.0, 10.0, True)
    assert call("patch", path, {"max_value": 7}, key=OTHER).status_code == 404
    assert [one["name"] for one in call("get", "/score-definitions").json()] == ["stars"]
    assert call("delete", path, key=ADMIN).status_code == 204
    assert not ScoreDefinition.objects.exists()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "", "type": "numeric"}, "name"),
        ({"name": "x", "type": "stars"}, "type"),
        ({"name": "x", "type": "boolean", "min_value": 0}, "min_value"),
        ({"name": "x", "type": "numeric", "categories": ["a"]}, "categories"),
        ({"name": "x", "type": "categorical", "categories": ["a", "a"]}, "categories"),
        ({"name": "x", "type": "numeric", "min_value": 2, "max_value": 2}, "max_value"),
    ],
)
def test_a_wrong_definition_is_named(call, shop, body, field):
    answer = call("post", "/score-definitions", body, key=ADMIN)
    assert (answer.status_code, answer.json()["fields"][0]) == (400, field)
    assert not ScoreDefinition.objects.exists()


def test_a_packed_batch_is_read(client, shop):
    ApiKeyFactory(project=shop, raw=raw_key(7), scopes=["ingest"])
    answer = client.generic(
        "POST",
        f"{BASE}/scores",
        gzip.compress(json.dumps({"scores": [ONE]}).encode()),
        content_type="application/json",
        headers={"Authorization": f"Bearer {raw_key(7)}", "Content-Encoding": "gzip"},
    )
    assert (answer.status_code, answer.json()["results"][0]["result"]) == (207, "stored")
