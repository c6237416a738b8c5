"""The pages of connections: list, making one, its test, its keys and models, and what others may not."""

from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client, override_settings
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, DjangoCaptureOnCommitCallbacks

from accounts.models import AuditEvent
from gateway.connections import checking, selectors
from gateway.models import Batch, Connection, ConnectionKey, KeyState
from tests.factories.gateway import ConnectionFactory, ConnectionKeyFactory, RouteFactory
from tests.factories.projects import ProjectFactory
from tests.fakes.http_server import Answer, Received, running_server
from tests.gateway.batches.test_pages import made

pytestmark = pytest.mark.django_db
ROOT = "/organizations/acme/gateway/connections/"
SECRET = "sk-proj-abcdefghijklmnop-1234"


@pytest.fixture
def admin(acme: SimpleNamespace, client_of: Any) -> Client:
    client: Client = client_of(acme.admin)
    return client


def test_an_empty_list_says_what_to_do(
    admin: Client, acme: SimpleNamespace, client_of: Any
) -> None:
    assert b"Add a connection" in admin.get(ROOT).content
    seen = client_of(acme.viewer).get(ROOT).content
    assert b"No provider is connected yet" in seen
    assert b"connections/new/" not in seen
    assert b'aria-current="page">Connections</a>' in seen
    assert b'data-shortcut="g g"' in seen


def test_the_list_filters_sorts_pages_and_exports(admin: Client, acme: SimpleNamespace) -> None:
    for number in range(3):
        one = ConnectionFactory.create(
            organization=acme.organization, name=f"Main {number}", model_names=["gpt-4o"]
        )
        ConnectionKeyFactory.create_batch(2, connection=one)
    ConnectionFactory.create(
        organization=acme.organization,
        name="=Off",
        kind="anthropic",
        is_enabled=False,
        base_url="https://8.8.8.8",
    )
    ConnectionFactory.create()
    for query, count in (
        ({"q": "main 1"}, 1), ({"q": "GPT-4o"}, 3), ({"q": "8.8.8"}, 1), ({"kind": "anthropic"}, 1),
        ({"state": "off"}, 1), ({"state": "never"}, 3), ({"state": "ok"}, 0), ({}, 4),
    ):  # fmt: skip
        assert admin.get(ROOT, query).content.count(b"data-row-link") == count, query
    names = [row.connection.name for row in admin.get(ROOT, {"sort": "-name"}).context["rows"]]
    assert names == ["Main 2", "Main 1", "Main 0", "=Off"]
    for bad in (
        {"kind": "x"},
        {"state": "x"},
        {"sort": "x"},
        {"q": "x" * 300},
        {"after": "x"},
        {"q": "\x00"},
    ):
        assert admin.get(ROOT, bad).status_code == 400
    table = admin.get(f"{ROOT}export.csv").content.decode()
    assert "'=Off,anthropic,https://8.8.8.8,off" in table
    asked, seen = selectors.Asked(sort="created"), []
    while True:
        page, after = selectors.listed(acme.organization.pk, asked, now=timezone.now(), limit=3)
        seen += [row.connection.name for row in page]
        if not after:
            break
        asked = selectors.Asked(sort="created", after=after)
    assert seen == ["Main 0", "Main 1", "Main 2", "=Off"]


def test_the_list_takes_three_queries(
    acme: SimpleNamespace, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(5):
        ConnectionKeyFactory.create(
            connection=ConnectionFactory.create(organization=acme.organization)
        )
    with django_assert_num_queries(2):
        rows, _ = selectors.listed(acme.organization.pk, selectors.Asked(), now=timezone.now())
        assert [len(row.keys) for row in rows] == [1] * 5
        assert [row.state for row in rows] == ["never"] * 5


def test_from_the_form_to_a_test_with_models_to_choose(
    admin: Client,
    acme: SimpleNamespace,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    def answer(request: Received, _number: int) -> Answer:
        if request.path.endswith("/models"):
            return 200, {}, b'{"data": [{"id": "llama"}, {"id": "mistral"}]}'
        return 200, {}, b'{"choices": []}'

    project = ProjectFactory.create(organization=acme.organization, name="Checkout")
    assert admin.get(f"{ROOT}new/").content.count(b"?kind=") == 5
    assert admin.get(f"{ROOT}new/?kind=x").status_code == 400
    with running_server(answer) as fake, override_settings(LLMLAB_OUTBOUND_ALLOW=["127.0.0.1"]):
        body = {
            "name": "vLLM",
            "base_url": fake.url,
            "secret": SECRET,
            "setting_responses": "on",
            "setting_provider": "",
            "model_names": "",
            "project": str(project.pk),
        }
        made = admin.post(f"{ROOT}new/?kind=compatible", body)
        row = Connection.objects.get()
        page = f"{ROOT}{row.pk}/"
        assert made["location"] == page
        assert (row.base_url, row.settings, row.project) == (
            f"{fake.url}/v1",
            {"responses": True},
            project,
        )
        with django_capture_on_commit_callbacks() as rings:
            assert admin.post(f"{page}test/").status_code == 302
        assert len(rings) == 1
        waiting = admin.get(page, headers={"HX-Request": "true"}).content
        assert b"A worker is asking it now" in waiting
        assert b'data-every="1"' in waiting
        assert b"connection-models" not in waiting
        assert f'hx-get="{page}?models=0"'.encode() in waiting
        row.refresh_from_db()
        assert row.check_started_at
        checking.run_test(connection_id=row.pk, started_at=row.check_started_at, now=timezone.now)
    polled = admin.get(f"{page}?models=0", headers={"HX-Request": "true"}).content.decode()
    assert 'id="connection-models" aria-labelledby="models-h" hx-swap-oob="true"' in polled
    assert 'value="mistral"' in polled
    same = admin.get(f"{page}?models=2", headers={"HX-Request": "true"}).content
    assert b"connection-models" not in same  # somebody may be choosing
    shown = admin.get(page).content.decode()
    assert "hx-swap-oob" not in shown
    assert "llama answered in" in shown
    assert 'value="mistral"' in shown
    assert SECRET not in shown
    assert admin.post(f"{page}models/", {"model": ["mistral"]}).status_code == 302
    row.refresh_from_db()
    assert row.model_names == ["mistral"]


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"base_url": "http://127.0.0.1/v1"}, "base_url"),
        ({"secret": ""}, "secret"),
        ({"secret": "a b"}, "secret"),
        ({"model_names": "x" * 300}, "model_names"),
        ({"setting_organization": "bad name"}, "setting_organization"),
        ({"project": "0190f3d4-0000-7000-8000-000000000001"}, "project"),
        ({"name": ""}, "name"),
    ],
)
def test_a_form_says_at_its_field_what_is_wrong(admin: Client, change: Any, place: str) -> None:
    body = {"name": "Main", "base_url": "", "secret": SECRET, "model_names": "", "project": ""}
    answer = admin.post(f"{ROOT}new/?kind=openai", body | change)
    assert answer.status_code == 422
    assert list(answer.context["form"].errors) == [place]
    assert SECRET.encode() not in answer.content
    assert not Connection.objects.exists()


def test_changing_the_host_asks_for_the_key(admin: Client, acme: SimpleNamespace) -> None:
    row = ConnectionFactory.create(organization=acme.organization, name="Main")
    ConnectionKeyFactory.create(connection=row)
    body = {"name": "Prod", "base_url": "https://8.8.8.8/v1", "model_names": "gpt-4o gpt-4o-mini"}
    answer = admin.post(f"{ROOT}{row.pk}/edit/", body)
    assert answer.status_code == 422
    assert b"a stored key is never sent elsewhere" in answer.content
    assert admin.post(f"{ROOT}{row.pk}/edit/", body | {"secret": SECRET}).status_code == 302
    row.refresh_from_db()
    assert (row.name, row.model_names) == ("Prod", ["gpt-4o", "gpt-4o-mini"])
    assert sorted(row.keys.values_list("state", flat=True)) == ["active", "revoked"]
    assert b'value="https://8.8.8.8/v1"' in admin.get(f"{ROOT}{row.pk}/edit/").content


def test_keys_are_added_weighed_rotated_and_revoked(admin: Client, acme: SimpleNamespace) -> None:
    row = ConnectionFactory.create(organization=acme.organization)
    old = ConnectionKeyFactory.create(connection=row)
    page = f"{ROOT}{row.pk}/"
    assert admin.get(f"{page}keys/new/").status_code == 200
    assert admin.post(f"{page}keys/new/", {"secret": SECRET, "weight": "0"}).status_code == 422
    assert admin.post(f"{page}keys/new/", {"secret": SECRET, "weight": "3"}).status_code == 302
    assert (
        b"there already"
        in admin.post(f"{page}keys/new/", {"secret": SECRET, "weight": "3"}).content
    )
    key = f"{page}keys/{old.pk}/"
    assert b"Rotate" in admin.get(key).content
    assert admin.post(f"{key}weight/", {"weight": "x"}).status_code == 422
    assert admin.post(f"{key}weight/", {"weight": "2"}).status_code == 302
    shown = admin.get(page).content.decode()
    assert "40.0%" in shown
    assert "60.0%" in shown
    assert admin.post(f"{key}rotation/", {"secret": "", "overlap": "1h"}).status_code == 422
    assert admin.post(f"{key}rotation/", {"secret": "sk-new", "overlap": "9y"}).status_code == 422
    assert admin.post(f"{key}rotation/", {"secret": "sk-new", "overlap": "1h"}).status_code == 302
    assert "Stands in until" in admin.get(page).content.decode()
    assert b"not active any more" in admin.get(key).content
    assert admin.post(f"{key}weight/", {"weight": "5"}).status_code == 302
    assert admin.post(f"{key}revocation/").status_code == 302
    assert ConnectionKey.objects.get(pk=old.pk).state == KeyState.REVOKED
    assert "Stands in until" not in admin.get(page).content.decode()
    told = " ".join(map(str, AuditEvent.objects.values_list("data", flat=True)))
    assert SECRET not in told


def test_switching_deleting_and_the_routes_that_lead_there(
    admin: Client, acme: SimpleNamespace
) -> None:
    row = ConnectionFactory.create(organization=acme.organization, name="Main")
    project = ProjectFactory.create(organization=acme.organization)
    RouteFactory.create(
        project=project, name="smart", rules={"targets": [{"connection": row.pk.hex}]}
    )
    RouteFactory.create(name="foreign", rules={"targets": [{"connection": row.pk.hex}]})
    page = f"{ROOT}{row.pk}/"
    shown = admin.get(page).content.decode()
    assert "smart" in shown
    assert "foreign" not in shown
    assert "No call can go there" in shown
    admin.post(f"{page}switch/", {"enabled": "0"})
    assert b"Switched off: no call goes there" in admin.get(page).content
    admin.post(f"{page}switch/", {"enabled": "1"})
    admin.post(f"{page}deletion/", {"confirmation": "main"})
    assert Connection.objects.filter(pk=row.pk, is_enabled=True).exists()
    # Nobody could read any more what a batch there costs.
    batch = made(project, connection_id=row.pk, poll_at=timezone.now())
    kept = admin.post(f"{page}deletion/", {"confirmation": "Main"}, follow=True).content.decode()
    assert f"{batch.provider_id} of {project.name}" in kept
    refused = admin.delete(f"/api/v1{page}".rstrip("/"))
    assert (refused.status_code, Connection.objects.filter(pk=row.pk).exists()) == (409, True)
    Batch.objects.update(state="recorded", poll_at=None)
    assert admin.post(f"{page}deletion/", {"confirmation": "Main"})["location"] == ROOT
    assert admin.get(page).status_code == 404


def test_a_viewer_reads_and_changes_nothing_and_strangers_see_nothing(
    acme: SimpleNamespace, globex: SimpleNamespace, client_of: Any
) -> None:
    row = ConnectionFactory.create(organization=acme.organization, name="Main")
    key = ConnectionKeyFactory.create(connection=row)
    page = f"{ROOT}{row.pk}/"
    posts = (
        "switch/",
        "test/",
        "models/",
        "deletion/",
        "edit/",
        "keys/new/",
        f"keys/{key.pk}/revocation/",
        f"keys/{key.pk}/rotation/",
    )
    for person, status in ((acme.viewer, 403), (acme.member, 403), (globex.owner, 404)):
        client = client_of(person)
        assert client.get(page).status_code == (404 if status == 404 else 200)
        for verb in posts:
            given = {
                "confirmation": "Main",
                "enabled": "0",
                "model": "x",
                "secret": "s",
                "overlap": "now",
            }
            assert client.post(f"{page}{verb}", given).status_code == status, (person, verb)
    assert Client().post(f"{page}switch/", {"enabled": "0"}).status_code == 302
    viewed = client_of(acme.viewer).get(page).content
    assert b"<button" not in viewed.split(b'id="main"')[1].split(b"</main>")[0]
    row.refresh_from_db()
    assert (row.is_enabled, row.check_started_at, row.model_names) == (True, None, [])
    assert row.keys.filter(state=KeyState.ACTIVE).count() == 1
    # Its own organisation's pages do not show another's key either.
    other = ConnectionFactory.create(organization=globex.organization)
    wrong = f"/organizations/globex/gateway/connections/{other.pk}/keys/{key.pk}/"
    assert client_of(globex.owner).get(wrong).status_code == 404
