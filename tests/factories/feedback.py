"""Scores, definitions, comments, links and collections as rows, without the services."""

import hashlib

import factory
from django.utils import timezone

from tests.factories.accounts import UserFactory
from tests.factories.projects import ProjectFactory
from traces.models import (
    Collection,
    CollectionItem,
    Comment,
    Score,
    ScoreDefinition,
    ShareLink,
)


class ScoreFactory(factory.django.DjangoModelFactory[Score]):
    """A numeric score of trace t1 by the API, now."""

    class Meta:
        model = Score

    project = factory.SubFactory(ProjectFactory)
    score_id = factory.Sequence(lambda n: f"score-{n:08d}")
    trace_id = "t1"
    name = "helpful"
    data_type = "numeric"
    value = 0.5
    source = "api"
    scored_at = factory.LazyFunction(timezone.now)


class ScoreDefinitionFactory(factory.django.DjangoModelFactory[ScoreDefinition]):
    class Meta:
        model = ScoreDefinition

    project = factory.SubFactory(ProjectFactory)
    name = factory.Sequence(lambda n: f"quality-{n}")
    data_type = "numeric"


class CommentFactory(factory.django.DjangoModelFactory[Comment]):
    class Meta:
        model = Comment

    project = factory.SubFactory(ProjectFactory)
    trace_id = "t1"
    author = factory.SubFactory(UserFactory)
    author_label = factory.LazyAttribute(lambda o: o.author.email if o.author else "a key")
    text = "Looks wrong."


class ShareLinkFactory(factory.django.DjangoModelFactory[ShareLink]):
    """Made with `token="…"`; usable for ever unless told otherwise."""

    class Meta:
        model = ShareLink

    class Params:
        token = factory.Sequence(lambda n: f"{n:043d}")

    project = factory.SubFactory(ProjectFactory)
    trace_id = "t1"
    token_hash = factory.LazyAttribute(lambda o: hashlib.sha256(o.token.encode()).hexdigest())


class CollectionFactory(factory.django.DjangoModelFactory[Collection]):
    class Meta:
        model = Collection

    project = factory.SubFactory(ProjectFactory)
    name = factory.Sequence(lambda n: f"Collection {n}")


class CollectionItemFactory(factory.django.DjangoModelFactory[CollectionItem]):
    class Meta:
        model = CollectionItem

    collection = factory.SubFactory(CollectionFactory)
    project = factory.SelfAttribute("collection.project")
    trace_id = "t1"
