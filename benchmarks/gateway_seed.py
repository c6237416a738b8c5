"""A connection to the benchmark's provider, two routes to it (`plain`, and `kept` with the exact cache), a key."""

import json
import sys

import django

MODEL = "gpt-4o-mini"


def main() -> int:
    """`python -m benchmarks.gateway_seed PROJECT URL` in the stack's environment. Prints the key as JSON."""
    django.setup()
    from django.utils import timezone

    from accounts.models import User
    from gateway.connections.services import create_connection
    from gateway.models import ProviderKind
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
    targets = [{"connection": made.pk.hex, "model": MODEL}]
    for name, more in (("plain", {}), ("kept", {"cache": {"exact": True}})):
        rules = {"targets": targets, **more}
        create_route(project=project, name=name, note="", rules=rules, by=By(owner), now=now)
    _, raw = create_api_key(project=project, name="Gateway", scopes=["gateway"], actor=owner)
    sys.stdout.write(json.dumps({"key": raw}) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
