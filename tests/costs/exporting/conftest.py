"""Files go to a directory of the test."""

from types import SimpleNamespace
from typing import Any

import pytest

from projects.models import Project
from tests.factories.projects import ProjectFactory


@pytest.fixture(autouse=True)
def _storage(settings: Any, tmp_path: Any) -> None:
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": str(tmp_path / "storage")},
        },
    }
    settings.LLMLAB_DATA_DIR = tmp_path


@pytest.fixture
def shop(acme: SimpleNamespace) -> Project:
    made: Project = ProjectFactory(organization=acme.organization, slug="shop", name="Shop")
    return made
