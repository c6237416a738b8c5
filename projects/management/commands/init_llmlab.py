"""`manage.py init_llmlab`: the first account, organisation, project and key from LLMLAB_INIT_*
(headless set-up).
"""

import os
from pathlib import Path
from typing import Any

from allauth.account.models import EmailAddress
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.core.validators import validate_email
from django.db import connection, transaction
from django.db.models import Q
from django.utils.text import slugify

from accounts.models import Membership, Organization, Role, User
from accounts.services import create_organization
from core.errors import DomainError
from projects.authentication import hash_key
from projects.models import ApiKey, Project
from projects.services import check_slug, create_api_key, create_project

# Each name needs the ones before it.
CHAIN = ("EMAIL", "PASSWORD", "ORG", "PROJECT", "API_KEY")


class Command(BaseCommand):
    help = (
        "Create what LLMLAB_INIT_EMAIL, LLMLAB_INIT_PASSWORD, LLMLAB_INIT_ORG, LLMLAB_INIT_PROJECT (slug) and "
        "LLMLAB_INIT_API_KEY name, each only if it is missing. Safe to run at every start: an existing account keeps "
        "its password, an existing key its state. LLMLAB_INIT_PASSWORD_FILE and LLMLAB_INIT_API_KEY_FILE name files."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        given = read_variables()
        if not given:
            self.stdout.write("No LLMLAB_INIT_* variable is set; nothing to do.")
            return
        try:
            with transaction.atomic():
                self._create(given)
        except DomainError as error:
            raise CommandError(error.detail) from None

    def _create(self, given: dict[str, str]) -> None:
        with connection.cursor() as cursor:  # several replicas may start at the same moment
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext('llmlab.init'))")
        user = self._user(given["EMAIL"].strip().lower(), given["PASSWORD"])
        if "ORG" not in given:
            return
        organization = self._organization(given["ORG"], user)
        if "PROJECT" not in given:
            return
        project = self._project(given["PROJECT"], organization, user)
        if "API_KEY" in given:
            self._api_key(given["API_KEY"], project, user)

    def _user(self, email: str, password: str) -> User:
        try:
            validate_email(email)
        except ValidationError:
            raise CommandError(f"LLMLAB_INIT_EMAIL={email!r} is not an e-mail address.") from None
        user = User.objects.filter(email__iexact=email).first()
        if user is not None:
            self.stdout.write(f"Account {email} exists; its password is left alone.")
            return user
        # The operator's own account: it may use /admin/.
        user = User.objects.create_superuser(email, password)
        EmailAddress.objects.create(user=user, email=email, primary=True, verified=True)
        self.stdout.write(f"Account {email} is created.")
        return user

    def _organization(self, name: str, user: User) -> Organization:
        # A name without a letter for a slug (日本) is known by itself, among the account's own.
        slug = slugify(name)[:60]
        known = Q(slug=slug) if slug else Q(name=name.strip(), memberships__user=user)
        organization = Organization.objects.filter(known).first()
        if organization is None:
            organization = create_organization(name=name, owner=user)
            self.stdout.write(f"Organisation {organization.slug} is created.")
            return organization
        _, added = Membership.objects.get_or_create(
            organization=organization, user=user, defaults={"role": Role.OWNER}
        )
        words = f"; {user.email} is now an owner" if added else ""
        self.stdout.write(f"Organisation {organization.slug} exists{words}.")
        return organization

    def _project(self, slug: str, organization: Organization, user: User) -> Project:
        try:
            check_slug(slug)
        except DomainError as error:
            raise CommandError(f"LLMLAB_INIT_PROJECT: {error.detail}") from None
        project = Project.objects.filter(organization=organization, slug=slug).first()
        if project is not None:
            self.stdout.write(f"Project {slug} exists.")
            return project
        name = slug.replace("-", " ").replace("_", " ").strip().capitalize() or slug
        self.stdout.write(f"Project {slug} is created.")
        return create_project(organization=organization, name=name, slug=slug, actor=user)

    def _api_key(self, value: str, project: Project, user: User) -> None:
        key = ApiKey.objects.filter(key_hash=hash_key(value)).first()
        if key is None:
            try:
                create_api_key(
                    project=project,
                    name="Initial key",
                    scopes=ApiKey.Scope.values,
                    actor=user,
                    value=value,
                )
            except DomainError as error:
                raise CommandError(f"LLMLAB_INIT_API_KEY: {error.detail}") from None
            self.stdout.write("The API key is created with all scopes.")
        elif key.project_id != project.pk:
            raise CommandError(
                "LLMLAB_INIT_API_KEY is the key of another project; choose another value."
            )
        else:
            self.stdout.write(
                "The API key exists" + ("; it is revoked." if key.revoked_at else ".")
            )


def read_variables() -> dict[str, str]:
    """The LLMLAB_INIT_* that are set; raises CommandError naming what is missing before one of
    them.
    """
    given = {name: value for name in CHAIN if (value := _read(f"LLMLAB_INIT_{name}"))}
    last = max((CHAIN.index(name) for name in given), default=-1)
    needed = CHAIN[: max(last + 1, 2)] if given else ()
    missing = [f"LLMLAB_INIT_{name}" for name in needed if name not in given]
    if missing:
        present = ", ".join(f"LLMLAB_INIT_{name}" for name in given)
        raise CommandError(f"{', '.join(missing)} must be set as well, because {present} is set.")
    return given


def _read(name: str) -> str:
    path = os.environ.get(f"{name}_FILE")
    if not path:
        return os.environ.get(name, "")
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise CommandError(f"{name}_FILE={path!r} cannot be read: {error.strerror}.") from None
