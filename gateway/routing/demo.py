"""Routes, a check and limits of the demo, where its simulated providers are connected."""

import datetime as dt
from typing import Any

from accounts.models import AuditEvent, User
from gateway.connections.demo import PLACES
from gateway.models import Connection
from gateway.routing.services import By, change_settings, create_route
from projects.demo import EMAIL
from projects.models import Project


def follow(sender: Any, *, project: Project, now: dt.datetime, **_: Any) -> None:
    """The demo's connections are there (traces.signals.demo_seeded, after gateway.connections.demo)."""
    seed_routes(project=project, owner=User.objects.get(email=EMAIL), now=now)


def seed_routes(*, project: Project, owner: User, now: dt.datetime) -> None:
    """`smart` with a canary and a fallback, `cheap` by price, `answers` from the cache, `steady` on a provider that is
    not; a check that masks personal data. Nothing without the connections, or where somebody made a route before."""
    mine = Connection.objects.filter(organization_id=project.organization_id)
    found = dict(mine.filter(name__in=[place[0] for place in PLACES]).values_list("name", "pk"))
    made_before = AuditEvent.objects.filter(
        organization_id=project.organization_id, action="gateway.route.created"
    )
    if len(found) < len(PLACES) or made_before.exists():
        return
    for name, note, rules in _routes(*(found[place[0]].hex for place in PLACES)):
        create_route(project=project, name=name, note=note, rules=rules, by=By(owner), now=now)
    check = {"kind": "pii", "action": "mask", "on": "input"}
    change_settings(project=project, changes={"guards": [check]}, by=By(owner), now=now)


def _routes(
    openai: str, anthropic: str, unsteady: str
) -> tuple[tuple[str, str, dict[str, Any]], ...]:
    smart = {
        "targets": [
            {"connection": openai, "model": "gpt-5-mini", "weight": 80},
            {"connection": anthropic, "model": "claude-haiku-4-5", "weight": 20, "is_canary": True},
            {"connection": openai, "model": "gpt-4o", "step": 1},
        ],
        "sticky": "user",
        "fallback_on": ["error", "timeout", "rate_limit", "context_length"],
    }
    cheap = {
        "targets": [
            {"connection": openai, "model": "gpt-4o-mini"},
            {"connection": openai, "model": "gpt-5-mini"},
            {"connection": anthropic, "model": "claude-haiku-4-5"},
        ],
        "choose": "cost",
    }
    answers = {
        "targets": [{"connection": openai, "model": "gpt-5-mini"}],
        "cache": {"exact": True, "semantic": True},
    }
    steady = {
        "targets": [
            {"connection": unsteady, "model": "gpt-4o-mini"},
            {"connection": anthropic, "model": "claude-haiku-4-5", "step": 1},
        ],
        "retry": {"tries": 1},
    }
    return (
        ("smart", "A fifth of the users on the candidate; a larger model when both fail.", smart),
        ("cheap", "Whichever is the cheapest for the request.", cheap),
        ("answers", "Questions that come again and again are answered from the cache.", answers),
        ("steady", "Answers even when its provider does not.", steady),
    )
