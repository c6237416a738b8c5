"""A question that means the same gets the kept answer; one that only looks alike does not."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from django.db import connection

from benchmarks.gateway_cache_pairs import ADVERSARIAL, DUPLICATES, pairs
from gateway.cache.anchors import agree, anchors
from gateway.cache.meaning import VECTORS, Vectors
from gateway.cache.semantic import Found, SemanticCache
from gateway.cache.storing import store
from gateway.models import CachedResponse, CacheThreshold
from gateway.structs import CacheRule, CacheWishes
from projects.models import ContentCapture, Project
from tests.factories.projects import ProjectFactory
from tests.fakes.embeddings import EmbeddingsServer
from tests.gateway.cache.conftest import BOTH, COST, NOW, answer_of, ask, ended, snapshot_now

QUESTION = "What is the capital of France?"
ALIKE = "hi, what's the capital of France"


def look(
    project: Project, text: str, cache: SemanticCache | None = None, **more: Any
) -> Found | None:
    at = more.pop("now", NOW + 2)
    return (cache or SemanticCache()).find(ask(project, text, **more), snapshot_now(project), at)


def keep(project: Project, text: str = QUESTION, answer: str = "Paris.", **more: Any) -> None:
    call = ask(project, text, **more)
    SemanticCache().find(call, snapshot_now(project), NOW)
    store([ended(call, answer=answer_of(answer))], costs={call.id: COST}, vectors=VECTORS)


def test_nearly_the_same_question_is_answered(project: Project) -> None:
    keep(project)
    found = look(project, ALIKE)
    assert found is not None
    assert found.hit.answer == answer_of()
    assert found.hit.kind == "semantic"
    assert found.hit.cost_usd == COST
    assert found.hit.similarity is not None
    assert found.hit.similarity > 0.99


@pytest.mark.parametrize(
    "other",
    [
        {"system": "Be long."},
        {"rule": msgspec.structs.replace(BOTH, namespace="v2")},
        {"rule": msgspec.structs.replace(BOTH, per_user=True), "user": "ann"},
        {"model": "gpt-5-mini"},
        {"temperature": 0.2},
        {"now": NOW + 700},
        {"wishes": CacheWishes(reads=False)},
        {"rule": CacheRule(exact=True)},
    ],
)
def test_nothing_crosses_a_scope(project: Project, other: dict[str, Any]) -> None:
    keep(project)
    assert look(project, ALIKE) is not None
    assert look(project, ALIKE, **other) is None


def test_another_tenant_finds_nothing(project: Project) -> None:
    keep(project)
    assert look(ProjectFactory(), ALIKE) is None


def test_a_project_that_keeps_no_contents_keeps_no_question(project: Project) -> None:
    Project.objects.filter(pk=project.pk).update(content_capture=ContentCapture.OFF)
    call = ask(project)
    assert SemanticCache().find(call, snapshot_now(project), NOW) is None
    vectors = Vectors()
    assert call.cache is not None
    kept = VECTORS.of(call.cache)
    if kept:
        vectors.keep(call.cache, kept)
    store([ended(call)], costs={}, vectors=vectors)
    row = CachedResponse.objects.get(project=project.pk)
    assert (row.scope, row.vector, row.anchors, row.embedded_with) == ("", None, "", "")


def test_a_tightened_threshold_counts_for_its_route(project: Project) -> None:
    keep(project)
    row = {
        "threshold": 1.1,
        "before": 0.97,
        "checked": 9,
        "wrong": 3,
        "tightened_at": "2026-11-21T00:00Z",
    }
    CacheThreshold.objects.create(project=project, route="other", **row)
    assert look(project, ALIKE) is not None
    CacheThreshold.objects.create(project=project, route="", **row)
    assert look(project, ALIKE) is None


def test_one_worker_asks_for_the_terms_once_a_second(
    project: Project, django_assert_num_queries: Any
) -> None:
    keep(project)
    cache, snapshot = SemanticCache(), snapshot_now(project)
    cache.find(ask(project, ALIKE), snapshot, NOW)
    with django_assert_num_queries(5):  # a savepoint, two settings, the search, its end
        cache.find(ask(project, ALIKE), snapshot, NOW)


def test_an_endpoint_gives_the_vectors_and_costs_are_recorded(
    project: Project, settings: Any
) -> None:
    from costs.models import CostRecord

    with EmbeddingsServer(dimensions=24) as server:
        settings.LLMLAB_EMBEDDINGS_BASE_URL = server.url
        keep(project, "How can I become fit?", "Run.")
        other = look(
            project, "How can i becom fit again?", rule=msgspec.structs.replace(BOTH, threshold=0.9)
        )
        assert other is None  # mostly the same words, and one more
        other = look(
            project, "What to do: getting fitter", rule=msgspec.structs.replace(BOTH, threshold=0.5)
        )
        assert other is not None
        assert len(server.asked) == 3
        server.status = 500
        assert look(project, "What makes one fit?") is None
    features = CostRecord.objects.filter(project=project.pk).values_list("feature", flat=True)
    assert set(features) == {"LLMLab cache"}
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_indexes WHERE indexname = 'gateway_cached_near_24'")
        assert cursor.fetchone()


def test_the_offline_default_never_mistakes_what_only_looks_alike() -> None:
    wrong = [
        (one, other)
        for _, one, other in pairs(ADVERSARIAL)
        if anchors(one) == anchors(other) and agree(one, other, is_lexical=True)
    ]
    assert wrong == []
    found = [
        anchors(one) == anchors(other) and agree(one, other, is_lexical=True)
        for _, one, other in pairs(DUPLICATES)
    ]
    assert sum(found) / len(found) >= 0.95


def test_vectors_that_see_no_difference_are_wrong_in_one_of_a_hundred() -> None:
    judged = [
        anchors(one) == anchors(other) and agree(one, other, is_lexical=False)
        for _, one, other in pairs(ADVERSARIAL)
    ]
    assert len(judged) >= 200
    assert sum(judged) / len(judged) <= Decimal("0.01")


def test_a_vector_is_forgotten_when_many_came_after(project: Project) -> None:
    vectors = Vectors(limit=1)
    one, other = ask(project).cache, ask(project, "And Spain?").cache
    assert one
    assert other
    SemanticCache().find(ask(project), snapshot_now(project), NOW)
    kept = VECTORS.of(one)
    assert kept
    vectors.keep(one, kept)
    vectors.keep(other, kept)
    assert vectors.of(one) is None
    assert vectors.of(other) is kept
