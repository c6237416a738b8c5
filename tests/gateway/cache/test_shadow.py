"""Hits are checked against a real answer; routes that are wrong too often get stricter; answers go when they must."""

import base64
import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from django.utils import timezone

from accounts.models import AuditEvent
from core import crypto
from core.errors import DomainError
from core.ids import uuid7
from costs.models import CostRecord
from gateway.cache import emptying, shadow
from gateway.cache.agreement import agreement, interval
from gateway.cache.emptying import Which, purge
from gateway.cache.finding import context
from gateway.cache.storing import store
from gateway.cache.tightening import consider, lift, record_of, stricter
from gateway.models import CachedResponse, CacheThreshold, ConfigVersion, ShadowCheck
from gateway.snapshot import forget
from gateway.structs import CacheRule, Call, Decision, Target, pack
from projects.models import Project
from tests.factories.gateway import ConnectionFactory, ConnectionKeyFactory
from tests.fakes.simulator import running_simulator
from tests.gateway.cache.conftest import BOTH, COST, answer_of, ask, ended

LIMIT = CacheRule(semantic=True, threshold=0.96)


@pytest.fixture
def simulator(settings: Any) -> Iterator[str]:
    forget()
    settings.LLMLAB_OUTBOUND_ALLOW = ["127.0.0.1"]
    with running_simulator() as url:
        yield url


def kept_row(project: Project, call: Call, answer: str) -> CachedResponse:
    store([ended(call, answer=answer_of(answer))], costs={call.id: COST}, vectors=None)
    return CachedResponse.objects.get(project=project.pk)


def checked(project: Project, call: Call, row: CachedResponse) -> ShadowCheck | None:
    cipher = crypto.data_cipher(project.organization.data_key)
    sealed = crypto.seal(cipher, pack(call), context(project.pk))
    return shadow.check(
        project_id=project.pk,
        call=base64.b64encode(sealed).decode(),
        cached_id=row.id,
        similarity=0.981,
        threshold=0.97,
        now=timezone.now(),
    )


def called(project: Project, url: str) -> Call:
    connection = ConnectionFactory(
        organization=project.organization, kind="compatible", base_url=url
    )
    ConnectionKeyFactory(connection=connection)
    target = Target(
        connection=connection.pk.hex, kind="compatible", model="gpt-4.1-mini", provider="openai"
    )
    call = ask(project, stream=True)
    return msgspec.structs.replace(call, decision=Decision(targets=(target,), route="faq"))


def test_a_hit_is_asked_again_and_what_it_cost_is_recorded(
    project: Project, simulator: str
) -> None:
    call = called(project, f"{simulator}/v1")
    found = checked(project, call, kept_row(project, call, "Quite another thing, banana bread."))
    assert found is not None
    assert found.route == "faq"
    assert found.is_right is not True
    record = CostRecord.objects.get(project=project.pk)
    assert record.feature == "LLMLab shadow check"
    assert found.cost_usd == record.cost_usd
    assert CachedResponse.objects.filter(project=project.pk).count() == 1


def test_what_cannot_be_asked_is_no_check(project: Project) -> None:
    forget()
    call = called(project, "http://127.0.0.1:1/v1")
    row = kept_row(project, call, "Paris.")
    assert checked(project, call, row) is None
    row.delete()
    assert checked(project, call, row) is None
    assert not ShadowCheck.objects.filter(project=project.pk).exists()


@pytest.mark.parametrize(
    ("one", "other", "is_right"),
    [
        ("Paris.", "paris", True),
        ("Paris.", "The capital of France is Paris.", True),
        ("Paris.", "The capital of Germany is Berlin.", False),
        ("It is 10 kg.", "It is 20 kg.", False),
        ("Yes, it is safe.", "No, it is not safe.", False),
        ("", "Paris", False),
        ("Use sorted(list) to get a new sorted list, or list.sort() to sort in place.",
         "Use sorted(list) to get a new sorted list or list.sort() to sort it in place.", True),
        ("Bananas are rich in potassium and have a yellow skin when they are ripe, which takes days.",
         "The constitution was ratified by thirteen states after a long convention in Philadelphia.", False),
    ],
)  # fmt: skip
def test_answers_are_compared_by_words(one: str, other: str, is_right: bool | None) -> None:
    assert agreement(one, other)[0] is is_right


def test_the_interval_is_wilsons() -> None:
    low, high = interval(1, 100)
    assert (round(low, 4), round(high, 4)) == (0.0018, 0.0545)
    assert interval(0, 0) == (0.0, 1.0)


def checks(project: Project, right: int, wrong: int, route: str = "faq") -> None:
    ShadowCheck.objects.bulk_create(
        ShadowCheck(
            project=project,
            id=uuid7(),
            route=route,
            cached_id=uuid7(),
            similarity=0.972,
            threshold=0.96,
            is_right=number >= wrong,
            checked_at=timezone.now(),
        )
        for number in range(right + wrong)
    )


def test_past_the_limit_the_threshold_tightens_and_says_so(project: Project) -> None:
    checks(project, right=18, wrong=2)
    row = consider(project=project, route="faq", rule=LIMIT, now=timezone.now())
    assert row is not None
    assert (row.before, row.threshold, row.checked, row.wrong) == (0.96, 0.9726, 20, 2)
    event = AuditEvent.objects.get(action="gateway.cache_threshold.tightened")
    assert event.data["wrong"] == 2
    # What was wrong before does not count again.
    later = timezone.now() + dt.timedelta(seconds=1)
    assert consider(project=project, route="faq", rule=LIMIT, now=later) is None
    lift(project=project, route="faq", actor=None, actor_label="test")
    assert not CacheThreshold.objects.filter(project=project).exists()
    with pytest.raises(DomainError):
        lift(project=project, route="faq", actor=None, actor_label="test")


@pytest.mark.parametrize(("right", "wrong"), [(0, 0), (50, 0), (300, 2)])
def test_within_the_limit_nothing_changes(project: Project, right: int, wrong: int) -> None:
    checks(project, right, wrong)
    checks(project, 0, 5, route="other")
    assert consider(project=project, route="faq", rule=LIMIT, now=timezone.now()) is None


def test_what_nobody_can_say_is_counted_apart() -> None:
    record = record_of([(True, 0.98), (None, 0.98), (False, 0.97)])
    assert (record.checked, record.wrong, record.unsure, record.rate) == (2, 1, 1, 0.5)


def test_thresholds_get_stricter_up_to_none_at_all() -> None:
    assert stricter(0.97, 0.971) == 0.9775
    assert stricter(0.97, 0.995) == 0.9956
    assert stricter(0.97, 1.0) == 1.0
    assert stricter(1.0, 1.0) > 1.0


def test_answers_go_by_what_people_name(project: Project) -> None:
    for model, route, version in (("a", "r", "p1"), ("b", "r", "p1"), ("b", "", "p2")):
        call = ask(project, f"{model}{version}", model=model, prompt_version=version)
        call.decision = Decision(targets=(), route=route)
        store([ended(call)], costs={}, vectors=None)
    before = ConfigVersion.objects.filter(pk=project.organization_id).first()
    with pytest.raises(DomainError):
        purge(project=project, which=Which(), actor=None)
    assert purge(project=project, which=Which(model="a"), actor=None) == 1
    assert purge(project=project, which=Which(prompt_version="p1", model="a"), actor=None) == 0
    assert purge(project=project, which=Which(route="-"), actor=None) == 1
    assert purge(project=project, which=Which(), is_all=True, actor=None) == 1
    after = ConfigVersion.objects.get(pk=project.organization_id)
    assert after.version > (before.version if before else 0)
    assert AuditEvent.objects.filter(action="gateway.cache.purged").count() == 4


def test_what_expired_is_swept_and_an_erased_user_leaves_nothing(project: Project) -> None:
    call = ask(project)
    store([ended(call)], costs={}, vectors=None)
    at = CachedResponse.objects.get(project=project.pk).expires_at
    assert emptying.sweep(now=at) == 0
    assert emptying.sweep(now=at + dt.timedelta(seconds=1)) == 1
    store([ended(call)], costs={}, vectors=None)
    emptying.forget_user(project_id=project.pk, user_id="u", now=at)
    assert not CachedResponse.objects.filter(project=project.pk).exists()
    store([ended(call)], costs={}, vectors=None)
    emptying.forget_sealed(project.organization)
    assert not CachedResponse.objects.filter(project=project.pk).exists()
    assert BOTH.exact
    assert Decimal(COST)
