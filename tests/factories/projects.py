"""Projects and API keys."""

import datetime as dt
import hashlib

import factory
from django.utils import timezone

from projects.models import ApiKey, Project
from tests.factories.accounts import OrganizationFactory


class ProjectFactory(factory.django.DjangoModelFactory[Project]):
    class Meta:
        model = Project

    organization = factory.SubFactory(OrganizationFactory)
    name = factory.Sequence(lambda n: f"Project {n}")
    slug = factory.Sequence(lambda n: f"project-{n}")

    class Params:
        archived = factory.Trait(status=Project.Status.ARCHIVED)
        deleting = factory.Trait(status=Project.Status.DELETING)


class ApiKeyFactory(factory.django.DjangoModelFactory[ApiKey]):
    """Made with `raw="llmlab_sk_…"`, which `raw_key(n)` also gives for the n-th key."""

    class Meta:
        model = ApiKey

    class Params:
        raw = factory.Sequence(lambda n: raw_key(n))
        revoked = factory.Trait(revoked_at=factory.LazyFunction(timezone.now))
        expired = factory.Trait(
            expires_at=factory.LazyFunction(lambda: timezone.now() - dt.timedelta(seconds=1))
        )

    project = factory.SubFactory(ProjectFactory)
    name = factory.Sequence(lambda n: f"Key {n}")
    prefix = factory.LazyAttribute(lambda o: o.raw[:18])
    key_hash = factory.LazyAttribute(lambda o: hashlib.sha256(o.raw.encode()).hexdigest())
    scopes = factory.LazyFunction(lambda: ["ingest", "read"])


def raw_key(number: int) -> str:
    """A well-formed key that no other number has."""
    return f"llmlab_sk_{number:043d}"
