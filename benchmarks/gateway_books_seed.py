"""For benchmarks.gateway_race and benchmarks.gateway_outage: a connection to their provider, three routes to it
(`plain`, `kept` with the exact cache, `falls` whose first target always fails), a key, and hard limits by user.

`python -m benchmarks.gateway_books_seed PROJECT URL JSON` in the stack's environment, where JSON is a list of
[user, `usd` or another metric of limits, or `budget`; amount]. Prints the key and each limit's id.
"""

import json
import sys
from decimal import Decimal

import django

from benchmarks.gateway_counting import BROKEN

MODEL = "gpt-4o-mini"


def main() -> int:
    """See above."""
    django.setup()
    from django.utils import timezone

    from accounts.models import User
    from costs.models import Budget
    from gateway.connections.services import create_connection
    from gateway.models import LimitScope, ProviderKind
    from gateway.quotas.services import create_limit
    from gateway.routing.services import By, create_route
    from projects.keys import create_api_key
    from projects.models import Project

    project = Project.objects.select_related("organization").get(pk=sys.argv[1])
    owner, now = User.objects.get(email="bench@example.com"), timezone.now()
    made = create_connection(
        organization=project.organization,
        kind=ProviderKind.OPENAI,
        name="Bench",
        base_url=f"{sys.argv[2]}/v1",
        secret="sk-bench-00000000000000000000",  # noqa: S106 - nobody's
        actor=owner,
        now=now,
    )
    target = {"connection": made.pk.hex, "model": MODEL}
    falls = {"targets": [{**target, "model": BROKEN}, {**target, "step": 1}], "retry": {"tries": 1}}
    routes = {
        "plain": {"targets": [target], "retry": {"tries": 1}},
        "kept": {"targets": [target], "retry": {"tries": 1}, "cache": {"exact": True, "per_user": True}},
        "falls": falls,
    }  # fmt: skip
    for name, rules in routes.items():
        create_route(project=project, name=name, note="", rules=rules, by=By(owner), now=now)
    ids = {}
    for user, metric, amount in json.loads(sys.argv[3]):
        if metric == "budget":
            row = Budget.objects.create(
                organization=project.organization,
                name=user,
                scope="user",
                value=user,
                period="monthly",
                amount_usd=Decimal(amount),
                is_hard=True,
            )
        else:
            row = create_limit(
                organization=project.organization,
                name=user,
                scope=LimitScope.USER,
                value=user,
                metric=metric,
                window="" if metric == "concurrency" else "month",
                amount=Decimal(amount),
                actor=owner,
                now=now,
            )
        ids[user] = row.pk.hex
    _, raw = create_api_key(project=project, name="Gateway", scopes=["gateway"], actor=owner)
    sys.stdout.write(json.dumps({"key": raw, "ids": ids}) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
