"""Connections, routes and limits for tests. Keys are sealed with the organisation's real data key."""

from typing import Any

import factory
from factory.django import DjangoModelFactory

from gateway.models import Connection, Limit, Route
from tests.factories.accounts import OrganizationFactory
from tests.factories.projects import ProjectFactory


class ConnectionFactory(DjangoModelFactory[Connection]):
    class Meta:
        model = Connection

    organization = factory.SubFactory(OrganizationFactory)
    name = factory.Sequence(lambda n: f"Connection {n}")
    kind = "openai"


class RouteFactory(DjangoModelFactory[Route]):
    class Meta:
        model = Route

    project = factory.SubFactory(ProjectFactory)
    name = factory.Sequence(lambda n: f"route-{n}")
    rules: Any = factory.LazyFunction(dict)


class LimitFactory(DjangoModelFactory[Limit]):
    class Meta:
        model = Limit

    organization = factory.SubFactory(OrganizationFactory)
    name = factory.Sequence(lambda n: f"Limit {n}")
    scope = "project"
    metric = "requests"
    window = "minute"
    amount = 100
