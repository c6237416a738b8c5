"""What the engine knows of a project's connections, read beside the loop."""

import asyncio

import pytest
from django.db import connections

from gateway import snapshot
from gateway.engine.snapshots import Snapshots
from gateway.models import Connection
from projects.models import Project
from tests.factories.gateway import ConnectionFactory
from tests.factories.projects import ProjectFactory

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_connection_the_door_knows_already_is_read_at_once() -> None:
    """The door chose it a moment after it was made; what is kept here is younger than a second."""
    snapshot.forget()
    project = ProjectFactory.create()
    known, added = (
        ConnectionFactory.create(organization=project.organization, is_enabled=is_enabled).pk.hex
        for is_enabled in (True, False)
    )
    names = project.organization_id.hex, project.pk.hex

    async def ask() -> None:
        snapshots = Snapshots()
        try:
            assert set((await snapshots.get(*names, known)).connections) == {known}
            await asyncio.to_thread(_enable, added, project)
            assert set((await snapshots.get(*names, added)).connections) == {known, added}
            assert set((await snapshots.get(*names, "0" * 32)).connections) == {known, added}
        finally:
            snapshots.close()

    asyncio.run(ask())


def _enable(connection: str, project: Project) -> None:
    Connection.objects.filter(pk=connection).update(is_enabled=True)
    snapshot.touch(project.organization_id)
    connections.close_all()
