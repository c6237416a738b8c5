"""Meaning search: offline, by an endpoint, combined with words; what it costs; when it is away."""

import datetime as dt
import threading
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import F
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from core.models import Job
from costs.models import CostRecord
from projects.models import ContentCapture, Project
from tests.factories.projects import ProjectFactory
from tests.fakes.embeddings import EmbeddingsServer
from tests.traces.spans import START, llm
from tests.traces.test_search_index import asked, read, set_capture, store
from traces import search
from traces.activity.counting import take_turns
from traces.models import SearchDocument, SearchState, Trace, TraceEmbedding
from traces.search import embedding, lexical, schedule

pytestmark = pytest.mark.django_db


@pytest.fixture
def project(acme: Any) -> Project:
    project = ProjectFactory(
        organization=acme.organization, slug="shop", content_capture=ContentCapture.PLAIN
    )
    store(
        project,
        llm("a", trace_id="france", name="quiz", input=asked("What is the capital of France?"), output="Paris"),
        llm("b", trace_id="refund", name="support", input=asked("I want a refund for my order"), output="Done"),
        llm("c", trace_id="late", name="support", input=asked("My parcel is late again"), output="Sorry"),
    )  # fmt: skip
    read(project)
    return project


@pytest.fixture
def server(settings: Any) -> Iterator[EmbeddingsServer]:
    with EmbeddingsServer(dimensions=8) as running:
        settings.LLMLAB_EMBEDDINGS_BASE_URL = running.url
        settings.LLMLAB_EMBEDDINGS_MODEL = "text-embedding-3-small"
        yield running


def embed(project: Project) -> int:
    return embedding.embed_waiting(project.pk, now=timezone.now())


def ranked(project: Project, text: str, mode: search.Mode) -> list[str]:
    within = Trace.objects.filter(project=project.pk)
    return [hit.trace_id for hit in search.ranked(project, text, within=within, mode=mode)]


def test_the_nearest_spelling_comes_first(project: Project) -> None:
    assert embed(project) == 3
    assert ranked(project, "whats the capital of france", "meaning")[0] == "france"
    assert ranked(project, "refunds for orders", "meaning")[0] == "refund"
    [hit, *_] = search.similar(project, "refund", within=Trace.objects.filter(project=project.pk))
    assert hit.trace_id in ("late", "france")
    assert hit.similarity is not None


def test_both_puts_what_both_found_first(project: Project) -> None:
    embed(project)
    within = Trace.objects.filter(project=project.pk)
    hits = search.ranked(project, "refund", within=within, mode="both")
    assert (hits[0].trace_id, hits[0].why) == ("refund", "words and meaning")
    assert hits[0].score == pytest.approx(2 / 61)
    assert [piece.text for piece in hits[0].snippet if piece.is_hit][:1] == ["refund"]


def test_words_in_names_outrank_words_in_texts(project: Project) -> None:
    store(project, llm("x", trace_id="named", name="parcel tracker", input=asked("hello")))
    read(project)
    assert ranked(project, "parcel", "words") == ["named", "late"]


def test_results_stay_inside_what_the_caller_sees(project: Project) -> None:
    embed(project)
    within = Trace.objects.filter(project=project.pk, name="quiz")
    assert [h.trace_id for h in search.ranked(project, "refund", within=within, mode="both")] == [
        "france"
    ]
    other = ProjectFactory(content_capture=ContentCapture.PLAIN)
    mine = Trace.objects.filter(project=other.pk)
    assert search.ranked(other, "refund", within=mine, mode="both") == []


def test_a_sealed_project_has_no_meaning(project: Project) -> None:
    embed(project)
    set_capture(project, ContentCapture.ENCRYPTED)
    assert ranked(project, "capital of france", "meaning") == []
    assert search.similar(project, "refund", within=Trace.objects.filter(project=project.pk)) == []
    read(project)
    assert not TraceEmbedding.objects.filter(project=project.pk).exists()
    assert embed(project) == 0


def test_an_endpoint_embeds_in_batches_and_its_calls_are_costs(
    project: Project, server: EmbeddingsServer
) -> None:
    assert embed(project) == 3
    assert [len(texts) for texts in server.asked] == [3]
    row = TraceEmbedding.objects.filter(project=project.pk).first()
    assert row is not None
    assert (row.model, row.dimensions) == ("text-embedding-3-small", 8)
    record = CostRecord.objects.get(project=project.pk, feature="LLMLab search")
    assert (record.operation, record.input_tokens) == ("embeddings", 30)
    assert record.cost_usd == Decimal("0.000000600000")  # 30 tokens at $0.02 per million
    assert embed(project) == 0


def test_a_question_is_embedded_by_a_worker_and_kept(
    project: Project, server: EmbeddingsServer
) -> None:
    embed(project)
    embedding.answer_question(project.pk, "capital of france")
    asked_before = len(server.asked)
    assert set(ranked(project, "capital of france", "meaning")) == {"france", "refund", "late"}
    assert len(server.asked) == asked_before


def test_an_endpoint_that_fails_is_named_and_tried_again(
    project: Project, server: EmbeddingsServer
) -> None:
    server.status = 401
    assert embed(project) == 0
    state = SearchState.objects.get(project=project)
    assert "answered 401" in state.embedding_error
    embedding.answer_question(project.pk, "capital")
    with pytest.raises(search.MeaningUnavailableError, match="answered 401"):
        ranked(project, "capital", "meaning")
    server.status = 200
    assert embed(project) == 3
    assert SearchState.objects.get(project=project).embedding_error == ""


def test_the_page_falls_back_to_words_and_says_why(
    project: Project, server: EmbeddingsServer, acme: Any, client_of: Any
) -> None:
    server.status = 500
    embedding.answer_question(project.pk, "refund")
    page = client_of(acme.viewer).get(
        reverse("traces:search", kwargs={"slug": "shop"}), {"q": "refund", "match": "both"}
    )
    text = page.content.decode()
    assert page.status_code == 200
    assert "Meaning search is not available" in text
    assert "<mark>refund</mark>" in text


def test_another_model_embeds_everything_again(
    project: Project, server: EmbeddingsServer, settings: Any
) -> None:
    embed(project)
    settings.LLMLAB_EMBEDDINGS_MODEL = "another"
    assert embedding.waiting(project.pk, at_most=10) == 3
    assert ranked(project, "refund", "words") == ["refund"]
    job = embedding.start_job(project, now=timezone.now())
    read(project)
    job = Job.objects.get(pk=job.pk)
    assert (job.state, job.done, job.total) == ("done", 3, 3)
    models = set(TraceEmbedding.objects.filter(project=project.pk).values_list("model", flat=True))
    assert models == {"another"}


def test_a_changed_text_waits_for_a_new_vector(project: Project) -> None:
    embed(project)
    earlier = START - dt.timedelta(seconds=5)  # the new root: its words are the gist
    store(
        project, llm("0", trace_id="late", started_at=earlier, input=asked("zebra"), output="yes")
    )
    read(project)
    document = SearchDocument.objects.get(project=project.pk, trace_id="late")
    assert (document.gist, document.embedded_with) == ("zebra\nyes", "")
    assert embed(project) == 1


def test_the_sweeper_rings_for_what_waits(project: Project) -> None:
    assert embedding.current_model().key == f"lexical-{lexical.DIMENSIONS}"
    schedule.sweep(now=timezone.now())
    assert not Job.objects.filter(kind=embedding.KIND).exists()


def test_search_page_and_api_denied(project: Project, globex: Any, client_of: Any) -> None:
    path = reverse("traces:search", kwargs={"slug": "shop"}) + "?q=refund"
    api = "/api/v1/projects/shop/search?q=refund"
    assert client_of(globex.owner).get(path).status_code == 404
    assert client_of(globex.owner).get(api).status_code == 404
    assert Client().get(path).status_code == 302
    assert Client().get(api).status_code == 401


def test_search_api(project: Project, acme: Any, client_of: Any) -> None:
    client = client_of(acme.viewer)
    body = client.get("/api/v1/projects/shop/search?q=refund").json()
    assert [hit["trace_id"] for hit in body["results"]] == ["refund"]
    assert (body["searches_content"], body["model"]) == (True, "lexical (offline)")
    for query, field in (
        ("q=", "q"),
        ("q=a&match=x", "match"),
        ("q=a&limit=0", "limit"),
        ("q=a&z=1", "z"),
    ):
        response = client.get(f"/api/v1/projects/shop/search?{query}")
        assert response.status_code == 400, query
        assert field in response.json()["fields"]


def test_the_page_says_what_it_cannot_see(acme: Any, client_of: Any) -> None:
    ProjectFactory(organization=acme.organization, slug="sealed")
    page = client_of(acme.viewer).get("/projects/sealed/search/?q=x&match=meaning").content.decode()
    assert "only names, ids, tags and errors" in page


def test_the_page_searches_only_where_the_lists_filters_hold(
    project: Project, acme: Any, client_of: Any
) -> None:
    def found(**params: str) -> list[str]:
        page = client_of(acme.viewer).get("/projects/shop/search/", params)
        return [line["trace"].trace_id for line in page.context["lines"]]

    start = (START - dt.timedelta(days=1)).isoformat()
    end = (START + dt.timedelta(days=1)).isoformat()
    asked_for = {"q": "refund OR parcel OR capital", "match": "both", "start": start, "end": end}
    embed(project)
    assert set(found(**asked_for)) == {"france", "refund", "late"}
    assert found(**asked_for, within="name=quiz") == ["france"]


@pytest.mark.django_db(transaction=True)
def test_vectors_wait_for_a_reader_that_writes_documents_in_another_order(acme: Any) -> None:
    """The reader writes chunk after chunk in one transaction: later traces first, then earlier ones."""
    project: Project = ProjectFactory(organization=acme.organization, content_capture="plain")
    for trace in ("a", "b"):
        store(project, llm("call", trace_id=trace, input="late delivery", output="refund"))
    read(project)
    TraceEmbedding.objects.filter(project=project).delete()
    documents = SearchDocument.objects.filter(project=project)
    documents.update(embedded_with="")
    done: list[int] = []

    def work() -> None:
        try:
            done.append(embedding.embed_batch(project, now=timezone.now()))
        finally:
            connection.close()

    with transaction.atomic():
        take_turns(project.pk)
        documents.filter(trace_id="b").update(seq=F("seq"))
        thread = threading.Thread(target=work)
        thread.start()
        thread.join(0.5)
        assert thread.is_alive()
        documents.filter(trace_id="a").update(seq=F("seq"))  # a deadlock, if vectors held it
    thread.join()
    assert done == [2]
    assert TraceEmbedding.objects.filter(project=project).count() == 2


def test_pages_hold_every_hit_once_in_order_of_rank(
    project: Project, acme: Any, client_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(
        project, *(llm(f"m{n}", trace_id=f"more{n}", input=asked(f"refund {n}")) for n in range(5))
    )
    read(project)
    embed(project)
    monkeypatch.setattr("traces.views.search.LIMIT", 3)
    client = client_of(acme.viewer)

    def walk(href: str) -> list[list[str]]:
        pages = []
        while href:
            page = client.get(href).context
            pages.append([line["trace"].trace_id for line in page["lines"]])
            assert page["last_place"] - page["first_place"] + 1 == len(pages[-1])
            href = page["next_href"]
        return pages

    within = Trace.objects.filter(project=project.pk)
    for mode, sizes in (("words", [3, 3]), ("meaning", [3, 3, 2]), ("both", [3, 3, 2])):
        pages = walk(f"/projects/{project.slug}/search/?q=refund&match={mode}&range=90d")
        assert [len(page) for page in pages] == sizes
        best = [hit.trace_id for hit in search.ranked(project, "refund", within=within, mode=mode)]  # type: ignore[arg-type]
        assert [one for page in pages for one in page] == best
    like = walk(f"/projects/{project.slug}/search/?like=refund&range=90d")
    assert [len(page) for page in like] == [3, 3, 1]
    assert len({one for page in like for one in page}) == 7


def test_a_later_page_is_not_moved_by_what_arrives(
    project: Project, acme: Any, client_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("traces.views.search.LIMIT", 1)
    client = client_of(acme.viewer)
    first = client.get(f"/projects/{project.slug}/search/?q=support&range=90d").context
    assert "range=90d" not in first["next_href"]
    assert "range=" in first["next_href"]
    page = client.get(
        f"/projects/{project.slug}/search/?q=support&range=90d&skip=7"
    ).content.decode()
    assert "No more traces" in page
    for wrong in ("-1", "400", "x", "²"):
        page = client.get(f"/projects/{project.slug}/search/?q=support&range=90d&skip={wrong}")
        assert page.context["first_place"] == 1
        assert "it must be a number below 400" in page.content.decode()
