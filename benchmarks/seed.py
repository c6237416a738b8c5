"""What a benchmark needs in a fresh database: an owner with a session, a project, a key. Prints it as JSON."""

import json
import sys

import django


def main() -> int:
    """`python -m benchmarks.seed [viewers]` after `manage.py migrate`."""
    django.setup()
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.contrib.sessions.backends.db import SessionStore
    from django.utils import timezone

    from accounts.models import User
    from accounts.services import create_organization
    from core import partitions
    from projects.keys import create_api_key
    from projects.services import create_project

    partitions.ensure_ahead(timezone.now().date())
    owner = User.objects.create_user(email="bench@example.com", password=None)
    organization = create_organization(name="Bench", owner=owner)
    project = create_project(organization=organization, name="Bench", actor=owner)
    _, raw = create_api_key(project=project, name="Bench", scopes=["ingest", "read"], actor=owner)
    sessions = []
    for _ in range(int(sys.argv[1]) if len(sys.argv) > 1 else 1):
        session = SessionStore()
        session[SESSION_KEY] = str(owner.pk)
        session[BACKEND_SESSION_KEY] = "allauth.account.auth_backends.AuthenticationBackend"
        session[HASH_SESSION_KEY] = owner.get_session_auth_hash()
        session.create()
        sessions.append(session.session_key)
    seeded = {
        "project_id": str(project.pk),
        "slug": project.slug,
        "key": raw,
        "sessions": sessions,
    }
    sys.stdout.write(json.dumps(seeded) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
