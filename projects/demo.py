"""The demo's account, project and key: made once, found again on every later start."""

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from allauth.account.models import EmailAddress
from django.db import transaction

from accounts.models import Membership, Organization, Role, User
from accounts.services import create_organization
from projects.authentication import hash_key
from projects.keys import create_api_key
from projects.models import ApiKey, ContentCapture, Project
from projects.services import create_project

EMAIL = "demo@llmlab.local"
# Writes comments and shared views; has no password, so nobody can log in as them.
COLLEAGUE_EMAIL, COLLEAGUE = "ines@fernhill.example", "Ines Duarte"
ORGANIZATION = "Demo"
PROJECT = "Support Copilot"
SLUG = "support-copilot"
KEY_NAME = "Demo traffic"


@dataclass(frozen=True)
class Demo:
    """What the demo runs with. `password` is empty when the person has changed it."""

    project: Project
    email: str
    password: str
    api_key: str


def ensure_demo(*, folder: Path) -> Demo:
    """The demo organisation, its login, project and API key; secrets are remembered in `folder`
    (mode 0600).

    Running it again finds everything. A lost password or key file is replaced by a new password or
    key.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with transaction.atomic():
        user, password = _ensure_user(folder / "password")
        organization = Organization.objects.filter(is_demo=True, memberships__user=user).first()
        if organization is None:
            organization = create_organization(name=ORGANIZATION, owner=user, is_demo=True)
        project = Project.objects.filter(organization=organization, slug=SLUG).first()
        if project is None:
            project = create_project(organization=organization, name=PROJECT, slug=SLUG, actor=user)
            # Every word of the demo is invented, so it may be searched.
            project.content_capture = ContentCapture.PLAIN
            project.save(update_fields=["content_capture", "updated_at"])
            _ensure_colleague(organization)
        raw = _ensure_key(project, user, folder / "api_key")
    return Demo(project=project, email=EMAIL, password=password, api_key=raw)


def _ensure_user(path: Path) -> tuple[User, str]:
    user = User.objects.filter(email=EMAIL).first()
    password = _read(path)
    if user is not None and password:
        return user, password if user.check_password(password) else ""
    password = secrets.token_urlsafe(12)
    if user is None:
        user = User.objects.create_user(EMAIL, password, name="Demo")
    else:
        user.set_password(password)
        user.save(update_fields=["password"])
    EmailAddress.objects.get_or_create(
        user=user, email=EMAIL, defaults={"verified": True, "primary": True}
    )
    _write(path, password)
    return user, password


def _ensure_colleague(organization: Organization) -> None:
    user = User.objects.filter(email=COLLEAGUE_EMAIL).first()
    if user is None:
        user = User.objects.create_user(COLLEAGUE_EMAIL, None, name=COLLEAGUE)
    Membership.objects.get_or_create(
        user=user, organization=organization, defaults={"role": Role.MEMBER}
    )


def _ensure_key(project: Project, user: User, path: Path) -> str:
    raw = _read(path)
    known = ApiKey.objects.filter(project=project, key_hash=hash_key(raw), revoked_at=None)
    if raw and known.exists():
        return raw
    _, raw = create_api_key(
        project=project,
        name=KEY_NAME,
        scopes=[ApiKey.Scope.INGEST, ApiKey.Scope.READ, ApiKey.Scope.GATEWAY],
        actor=user,
    )
    _write(path, raw)
    return raw


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8").strip() if path.exists() else ""


def _write(path: Path, secret: str) -> None:
    """Written beside and moved into place, readable by us alone: a reader never sees half of it."""
    beside = path.with_suffix(".new")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secret + "\n")
    beside.replace(path)
