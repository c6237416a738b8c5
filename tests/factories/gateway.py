"""Connections, routes and limits for tests. Keys are sealed with the organisation's real data key."""

from typing import Any

import factory
from factory.django import DjangoModelFactory

from core.ids import uuid7
from gateway.connections.secrets import seal_key
from gateway.models import Connection, ConnectionKey, Limit, Route
from tests.factories.accounts import OrganizationFactory
from tests.factories.projects import ProjectFactory


class ConnectionFactory(DjangoModelFactory[Connection]):
    class Meta:
        model = Connection

    organization = factory.SubFactory(OrganizationFactory)
    name = factory.Sequence(lambda n: f"Connection {n}")
    kind = "openai"


class ConnectionKeyFactory(DjangoModelFactory[ConnectionKey]):
    """`ConnectionKeyFactory(connection=…, secret="sk-…")`."""

    class Meta:
        model = ConnectionKey

    class Params:
        secret = "sk-tenant-0000000000"

    id = factory.LazyFunction(uuid7)
    connection = factory.SubFactory(ConnectionFactory)
    hint = factory.LazyAttribute(lambda one: f"{one.secret[:7]}…{one.secret[-4:]}")
    sealed = factory.LazyAttribute(
        lambda one: seal_key(one.connection.organization, one.id, one.secret)
    )


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
