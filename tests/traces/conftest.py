"""A project and a key that may send to it, for the writer's and the doors' tests."""

import pytest

from projects.models import Project
from tests.factories.projects import ProjectFactory
from tests.traces.uploads import key_for


@pytest.fixture
def project(db: None) -> Project:
    return ProjectFactory()


@pytest.fixture
def key(project: Project) -> str:
    return key_for(project)[1]
