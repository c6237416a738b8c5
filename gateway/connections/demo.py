"""Three connections to the demo's simulated providers, where there are any."""

import datetime as dt
from typing import Any

from django.conf import settings

from accounts.models import AuditEvent, User
from gateway.connections import checking
from gateway.connections.services import create_connection
from gateway.models import ProviderKind
from projects.demo import EMAIL
from projects.models import Project

# Nobody's: the simulator takes any key.
KEY = "sk-simulator-0000000000000000"
PLACES = (
    ("Simulator (OpenAI)", ProviderKind.OPENAI, "/v1"),
    ("Simulator (Anthropic)", ProviderKind.ANTHROPIC, ""),
    # Overloaded for a third of what it is asked, so that there are fallbacks to look at.
    ("Simulator (unsteady)", ProviderKind.OPENAI, "/unsteady/v1"),
)


def follow(sender: Any, *, project: Project, now: dt.datetime, **_: Any) -> None:
    """The demo's history is there (traces.signals.demo_seeded)."""
    connect_simulator(project=project, owner=User.objects.get(email=EMAIL), now=now)


def connect_simulator(*, project: Project, owner: User, now: dt.datetime) -> None:
    """Connect and test them. Nothing without a simulator, or where somebody made a connection before."""
    made_before = AuditEvent.objects.filter(
        organization_id=project.organization_id, action="gateway.connection.created"
    )
    if not settings.LLMLAB_DEMO_SIMULATOR or made_before.exists():
        return
    for name, kind, path in PLACES:
        made = create_connection(
            organization=project.organization,
            kind=kind,
            name=name,
            base_url=settings.LLMLAB_DEMO_SIMULATOR + path,
            secret=KEY,
            actor=owner,
            now=now,
        )
        checking.start_test(connection=made, actor=owner, now=now)
