"""`manage.py init_llmlab`: exactly what the environment names, and the same again changes nothing."""

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.models import Membership, Organization, Role, User
from projects.authentication import authenticate_key
from projects.models import ApiKey, Project
from tests.factories.accounts import OrganizationFactory
from tests.factories.projects import ApiKeyFactory

pytestmark = pytest.mark.django_db
KEY = "operators-own-key-0123456789"
FULL = {
    "EMAIL": "Ops@Acme.example",
    "PASSWORD": "correct horse battery",
    "ORG": "Acme Inc",
    "PROJECT": "support-bot",
    "API_KEY": KEY,
}


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in FULL:
        monkeypatch.delenv(f"LLMLAB_INIT_{name}", raising=False)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Any:
    def call(**given: str) -> str:
        for name in FULL:
            monkeypatch.delenv(f"LLMLAB_INIT_{name}", raising=False)
        for name, value in given.items():
            monkeypatch.setenv(f"LLMLAB_INIT_{name}", value)
        out = StringIO()
        call_command("init_llmlab", stdout=out)
        return out.getvalue()

    return call


def test_an_organisation_without_a_latin_letter_is_created_once(run: Any) -> None:
    for _ in range(2):
        run(**{**FULL, "ORG": "日本"})
    organization = Organization.objects.get()
    assert (organization.name, organization.slug) == ("日本", "team")
    assert Project.objects.count() == ApiKey.objects.count() == 1


def test_everything_is_created_once(run: Any) -> None:
    first = run(**FULL)
    second = run(**{**FULL, "PASSWORD": "another password"})
    user = User.objects.get()
    assert (user.email, user.is_superuser) == ("ops@acme.example", True)
    assert user.check_password("correct horse battery")  # not reset by the second run
    assert EmailAddress.objects.get().verified is True
    assert Membership.objects.get().role == Role.OWNER
    organization = Organization.objects.get()
    assert (organization.name, organization.slug) == ("Acme Inc", "acme-inc")
    project = Project.objects.get()
    assert (project.slug, project.organization) == ("support-bot", organization)
    key = ApiKey.objects.get()
    assert (key.scopes, key.prefix) == (["ingest", "read", "gateway", "admin"], KEY[:16])
    auth = authenticate_key(KEY, now=timezone.now())
    assert auth is not None
    assert auth.project_slug == "support-bot"
    assert KEY not in first + second
    assert "is created" in first
    assert "is created" not in second


def test_without_variables_nothing_happens(run: Any) -> None:
    assert run() == "No LLMLAB_INIT_* variable is set; nothing to do.\n"
    assert User.objects.count() == 0


@pytest.mark.parametrize(
    ("names", "missing"),
    [
        (["EMAIL"], ["PASSWORD"]),
        (["PASSWORD"], ["EMAIL"]),
        (["EMAIL", "PASSWORD", "PROJECT"], ["ORG"]),
        (["API_KEY"], ["EMAIL", "PASSWORD", "ORG", "PROJECT"]),
        (["EMAIL", "PASSWORD", "ORG", "API_KEY"], ["PROJECT"]),
    ],
)
def test_partial_set_names_what_is_missing(run: Any, names: list[str], missing: list[str]) -> None:
    with pytest.raises(CommandError) as caught:
        run(**{name: FULL[name] for name in names})
    words = ", ".join(f"LLMLAB_INIT_{name}" for name in missing)
    assert str(caught.value).startswith(f"{words} must be set as well")
    assert User.objects.count() == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"EMAIL": "nobody"}, "LLMLAB_INIT_EMAIL='nobody' is not an e-mail address."),
        ({"PROJECT": "Not A Slug"}, "LLMLAB_INIT_PROJECT: slug='Not A Slug' must be"),
        ({"PROJECT": "new"}, "LLMLAB_INIT_PROJECT: slug='new' is reserved"),
        ({"API_KEY": "short"}, "LLMLAB_INIT_API_KEY: The key must have 20 to 200 characters."),
        ({"API_KEY": "with a space 0123456789"}, "LLMLAB_INIT_API_KEY: The key must be printable"),
        ({"ORG": "x" * 121}, "name must have 1 to 120 characters."),
    ],
)
def test_bad_value_stops_before_anything(run: Any, change: dict[str, str], words: str) -> None:
    with pytest.raises(CommandError) as caught:
        run(**{**FULL, **change})
    assert str(caught.value).startswith(words)
    assert (User.objects.count(), Organization.objects.count(), Project.objects.count()) == (
        0,
        0,
        0,
    )


def test_part_of_the_chain_is_enough(run: Any) -> None:
    run(EMAIL=FULL["EMAIL"], PASSWORD=FULL["PASSWORD"], ORG=FULL["ORG"])
    assert (Organization.objects.count(), Project.objects.count()) == (1, 0)


def test_existing_organization_is_joined_as_owner(run: Any) -> None:
    organization = OrganizationFactory(slug="acme-inc")
    run(**FULL)
    assert Membership.objects.get().organization == organization


def test_key_of_another_project_is_refused(run: Any) -> None:
    ApiKeyFactory(raw=KEY)
    with pytest.raises(CommandError, match="key of another project"):
        run(**FULL)
    assert User.objects.count() == 0


def test_revoked_key_stays_revoked(run: Any) -> None:
    run(**FULL)
    ApiKey.objects.update(revoked_at=timezone.now())
    assert "it is revoked" in run(**FULL)
    assert authenticate_key(KEY, now=timezone.now()) is None


def test_secrets_come_from_files_too(run: Any, tmp_path: Path, monkeypatch: Any) -> None:
    secret = tmp_path / "password"
    secret.write_text("from a file, long\n")
    monkeypatch.setenv("LLMLAB_INIT_PASSWORD_FILE", str(secret))
    run(EMAIL="ops@acme.example")
    assert User.objects.get().check_password("from a file, long")
    monkeypatch.setenv("LLMLAB_INIT_PASSWORD_FILE", "/nowhere")
    with pytest.raises(CommandError, match="cannot be read"):
        run(EMAIL="ops@acme.example")
