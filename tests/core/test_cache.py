"""The cache while Redis is away: nobody fails, nobody waits, and logins stay limited."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from core import cache as fallback
from costs import caching
from costs.selectors.usage import UsageMark
from tests.factories.accounts import PASSWORD, UserFactory
from tests.factories.projects import ProjectFactory

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _start_afresh() -> Iterator[None]:
    fallback.forget()
    yield
    fallback.forget()


@pytest.fixture
def redis_away(settings: Any) -> None:
    # pytest-django resets Django's cache connections when CACHES changes.
    settings.CACHES = {
        "default": {**settings.CACHES["default"], "LOCATION": "redis://127.0.0.1:1/0"}
    }


def test_a_process_remembers_for_itself(redis_away: None) -> None:
    cache.set("a", 1, 60)
    assert cache.get("a") == 1
    assert cache.add("a", 2) is False
    assert cache.delete("a") is True
    assert cache.get("a", "none") == "none"


def test_what_was_kept_meanwhile_is_forgotten_when_redis_is_back() -> None:
    fallback._away_until = time.monotonic() + 60
    cache.set("a", 1, 60)
    fallback._away_until = 0.0
    assert cache.get("a") is None


def test_cost_answers_do_not_wait(redis_away: None) -> None:
    project = ProjectFactory.create()
    began = time.monotonic()
    answers = [caching.cached(project.pk, UsageMark(1), (n,), lambda n=n: n) for n in range(50)]
    assert answers == list(range(50))
    assert time.monotonic() - began < 3
    assert fallback._away_until > time.monotonic()


def test_login_works_and_guessing_stays_limited(redis_away: None, settings: Any) -> None:
    settings.ACCOUNT_RATE_LIMITS = {"login_failed": "10/m/ip,5/5m/key"}  # allauth's own
    user = UserFactory(email="ada@example.com")

    def login(password: str) -> Any:
        return Client().post("/accounts/login/", {"login": user.email, "password": password})

    assert login(PASSWORD).status_code == 302
    answers = [login("wrong").content.decode().lower() for _ in range(6)]
    assert "too many" not in answers[4]
    assert "too many" in answers[5]
