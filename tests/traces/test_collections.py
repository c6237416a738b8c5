"""Collections: gathering examples, what was expected, and the JSON lines they become."""

import json
from typing import Any

import pytest
from django.urls import reverse

from projects.models import Project
from tests.factories.feedback import CollectionFactory, CollectionItemFactory
from tests.factories.projects import ApiKeyFactory, ProjectFactory, raw_key
from tests.factories.traces import SpanFactory, TraceFactory, payload_for
from traces.models import Collection, CollectionItem

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop(acme: Any) -> Project:
    project = ProjectFactory(organization=acme.organization, slug="shop")
    trace = TraceFactory(project=project, trace_id="t1", name="refund", root_span_id="root")
    SpanFactory(trace=trace, span_id="root", kind="agent")
    first = SpanFactory(trace=trace, span_id="a", name="ask")
    payload_for(first, input="Where is it?", output="Let me see")
    last = SpanFactory(trace=trace, span_id="b", name="answer", started_at=trace.last_span_at)
    payload_for(last, input="…", output="On its way")
    return project


def url(name: str, **more: Any) -> str:
    return reverse(f"traces:{name}", kwargs={"slug": "shop", **more})


def lines(response: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in b"".join(response).decode().splitlines()]


def test_a_trace_and_a_step_are_gathered_and_exported(shop, acme, client_of):
    client = client_of(acme.member)
    client.post(url("collection_item_add"), {"trace": "t1", "name": "Hard ones"})
    collection = Collection.objects.get(project=shop)
    client.post(url("collection_item_add"), {"trace": "t1", "step": "b", "collection": str(collection.pk)})  # fmt: skip
    item = CollectionItem.objects.get(project=shop, span_id="b")
    client.post(
        url("collection_item_edit", collection_id=collection.pk, item_id=item.pk),
        {"expected": "Tomorrow", "note": "n"},
    )
    found = lines(client.get(url("collection_export", collection_id=collection.pk)))
    assert [(one["name"], one["input"], one["output"], one["expected"]) for one in found] == [
        ("refund", "Where is it?", "On its way", None),
        ("answer", "…", "On its way", "Tomorrow"),
    ]


def test_adding_twice_counts_once_and_names_what_is_missing(shop, client):
    ApiKeyFactory(project=shop, raw=raw_key(1), scopes=["ingest", "read"])
    headers = {"Authorization": f"Bearer {raw_key(1)}"}
    base = "/api/v1/projects/shop/collections"

    def post(path: str, body: Any) -> Any:
        return client.post(base + path, body, content_type="application/json", headers=headers)

    made = post("", {"name": "Bulk"}).json()
    TraceFactory(trace_id="foreign")
    body = {"trace_ids": ["t1", "t1", "foreign"]}
    assert post(f"/{made['id']}/items", body).json() == {"added": 1, "known": 0, "missing": ["foreign"]}  # fmt: skip
    assert post(f"/{made['id']}/items", body).json() == {"added": 0, "known": 1, "missing": ["foreign"]}  # fmt: skip
    assert post("", {"name": "Bulk"}).status_code == 409
    assert post(f"/{made['id']}/items", {"trace_ids": []}).status_code == 400
    assert client.get(base, headers=headers).json()["results"][0]["items"] == 1
    export = client.get(f"{base}/{made['id']}/export", headers=headers)
    assert [one["trace_id"] for one in lines(export)] == ["t1"]


def test_a_deleted_trace_is_marked_missing(shop, acme, client_of):
    item = CollectionItemFactory(collection__project=shop, trace_id="gone")
    [found] = lines(client_of(acme.viewer).get(url("collection_export", collection_id=item.collection_id)))  # fmt: skip
    assert (found["missing"], found["input"]) == (True, None)


def test_viewers_read_only_and_strangers_nothing_denied(shop, acme, globex, client_of):
    item = CollectionItemFactory(collection__project=shop)
    one, both = {"collection_id": item.collection_id}, {"collection_id": item.collection_id, "item_id": item.pk}  # fmt: skip  # noqa: E501
    for who, status in ((acme.viewer, 403), (globex.owner, 404)):
        client = client_of(who)
        for address in (
            url("collection_list"),
            url("collection_item_add"),
            url("collection_detail", **one),
            url("collection_delete", **one),
            url("collection_item_edit", **both),
            url("collection_item_delete", **both),
        ):
            assert client.post(address, {"name": "x", "expected": "x"}).status_code == status
    assert (Collection.objects.count(), CollectionItem.objects.get().expected) == (1, "")


def test_deleting_takes_the_items_along(shop, acme, client_of):
    item = CollectionItemFactory(collection__project=shop)
    client_of(acme.member).post(url("collection_delete", collection_id=item.collection_id))
    assert (Collection.objects.count(), CollectionItem.objects.count()) == (0, 0)


def test_a_wrong_choice_says_what_to_do(shop, acme, client_of):
    foreign = CollectionFactory()
    client = client_of(acme.member)
    for data, words in (
        ({"trace": "t1"}, "Choose a collection, or name a new one."),
        ({"name": "New"}, "Name at least one trace."),
        ({"trace": "t1", "collection": str(foreign.pk)}, "There is no such collection"),
        ({"trace": "t1", "step": "nope", "name": "N2"}, "This step has not arrived"),
    ):
        answer = client.post(url("collection_item_add"), data)
        assert (answer.status_code, words in answer.content.decode()) == (422, True)
    assert not CollectionItem.objects.exists()


def test_lists_page_and_search(shop, acme, client_of, django_assert_max_num_queries):
    for n in range(51):
        CollectionFactory(project=shop, name=f"Collection {n:02}")
    client = client_of(acme.viewer)
    with django_assert_max_num_queries(8):
        first = client.get(url("collection_list"))
    second = client.get(url("collection_list") + f"?before={first.context['older']}")
    assert (len(first.context["rows"]), len(second.context["rows"])) == (50, 1)
    found = client.get(url("collection_list") + "?q=N%2050").context["rows"]
    assert [row.name for row in found] == ["Collection 50"]


def test_the_bulk_bar_asks_which_collection(shop, acme, client_of):
    TraceFactory(project=shop, trace_id="t2", name="greeting")
    client = client_of(acme.member)

    def offered(**body: Any) -> list[str]:
        page = client.post(url("collection_item_add"), {"choose": "1", **body})
        return page.status_code, page.context["trace_ids"], page.context["error"]

    assert offered(ids=["t1", "t2"], query="range=24h") == (200, ["t1", "t2"], "")
    wanted = {"scope": "all", "ids": ["t2"], "query": "range=24h&q=name:refund"}
    assert offered(**wanted) == (200, ["t1"], "")
    status, ids, error = offered(query="range=24h")
    assert (status, ids) == (422, [])
    assert error == "No trace is selected; tick some in the list first."
    assert not Collection.objects.filter(project=shop).exists()
    refused = client_of(acme.viewer).post(
        url("collection_item_add"), {"choose": "1", "ids": ["t1"]}
    )
    assert refused.status_code == 403
