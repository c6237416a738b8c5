"""Buckets: checked, guarded, sealed; exports go there through a real S3 server, and say why when they cannot."""

import socket
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from django.utils import timezone
from moto.server import ThreadedMotoServer

from core import crypto
from core.errors import ConflictError, DomainError
from costs.exporting import destinations, runs, sealing
from costs.exporting.destinations import DestinationDraft
from costs.models import ExportDestination
from projects import resealing
from projects.connections import open_credentials
from projects.models import Project
from tests.costs.exporting.ledgers import drain, finished, line, record, start
from tests.factories.billing import SECRET, ProviderConnectionFactory
from tests.factories.exports import ExportDestinationFactory, ExportScheduleFactory

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """An S3-compatible server of our own with one bucket."""
    made = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    made.start()
    host, port = made.get_host_and_port()
    url = f"http://{host}:{port}"
    s3(url).create_bucket(Bucket="exports")
    yield url
    made.stop()


def s3(url: str) -> Any:
    keys = {"aws_access_key_id": "key", "aws_secret_access_key": "secret"}
    return boto3.client("s3", endpoint_url=url, region_name="us-east-1", **keys)


def keys_of(url: str) -> list[str]:
    return sorted(
        one["Key"] for one in s3(url).list_objects_v2(Bucket="exports").get("Contents", [])
    )


@pytest.fixture
def place(acme: SimpleNamespace, server: str, settings: Any) -> ExportDestination:
    settings.LLMLAB_OUTBOUND_ALLOW = ["127.0.0.1"]
    made: ExportDestination = ExportDestinationFactory(
        organization=acme.organization, endpoint_url=server
    )
    return made


def check(one: ExportDestination) -> ExportDestination:
    return destinations.check_destination(destination=one, now=timezone.now(), actor=None)


def test_the_check_writes_and_deletes_a_probe(place: ExportDestination, server: str) -> None:
    before = keys_of(server)
    assert check(place).status == "verified"
    assert keys_of(server) == before


def test_what_the_storage_says_is_shown(place: ExportDestination) -> None:
    place.bucket = "nobodys"
    checked = check(place)
    assert checked.status == "error"
    assert "NoSuchBucket" in checked.status_message


def test_a_storage_that_is_down_is_named(place: ExportDestination) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    place.endpoint_url = f"http://127.0.0.1:{port}"
    assert "is not reachable" in check(place).status_message


def test_private_addresses_are_refused_when_saved_and_when_used(
    acme: SimpleNamespace, place: ExportDestination, settings: Any
) -> None:
    settings.LLMLAB_OUTBOUND_ALLOW = []
    assert "private or reserved address" in check(place).status_message
    for url in ("http://127.0.0.1:9000", "https://169.254.169.254", "https://[::1]:9000"):
        with pytest.raises(DomainError, match="endpoint_url"):
            destinations.save_destination(
                organization=acme.organization,
                draft=DestinationDraft("New", "exports", "key", "s", endpoint_url=url),
                actor=None,
            )


def test_a_name_that_changes_its_address_meanwhile_finds_nobody(
    place: ExportDestination, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The form saw a public address; the connection is checked again, whatever the name says by then."""
    settings.LLMLAB_OUTBOUND_ALLOW = []
    monkeypatch.setattr("core.outbound.check_url", lambda url: None)
    assert "private or reserved address" in check(place).status_message


def test_files_go_to_the_bucket_and_stay_for_download(
    acme: SimpleNamespace, shop: Project, place: ExportDestination, server: str
) -> None:
    record(shop, line("input", 1000, "0.00000025"))
    job = finished(start(acme.organization, params={"destination": str(place.pk)}))
    folder = f"finance/by-hand/{job.pk}"
    names = ["focus-1.2-2026-11.jsonl.gz", "focus-1.2-2026-11.metadata.json"]
    assert job.result["sent_to"] == [f"{folder}/{name}" for name in names]
    assert [key for key in keys_of(server) if str(job.pk) in key] == job.result["sent_to"]
    assert job.message == f"2 rows sent to {place.name}." or "1 rows sent" in job.message
    assert [file["name"] for file in job.result["files"]] == names


def test_an_export_that_cannot_be_sent_fails_in_words_and_is_tried_again(
    acme: SimpleNamespace, shop: Project, place: ExportDestination
) -> None:
    record(shop, line("input", 1000, "0.00000025"))
    ExportDestination.objects.update(bucket="nobodys")
    job = start(acme.organization, params={"destination": str(place.pk)})
    for minutes in (1, 10, 100):  # tries wait longer and longer
        drain(minutes)
    job.refresh_from_db()
    assert job.state == "failed"
    assert "NoSuchBucket" in job.message
    assert job.result["files"], "the files are here all the same"
    ExportDestination.objects.update(bucket="exports")
    again = runs.retry_export(job=job, now=timezone.now(), actor=acme.member.user)
    assert finished(again).result["bucket"] == "exports"
    with pytest.raises(ConflictError, match="failed or was cancelled"):
        runs.retry_export(job=again, now=timezone.now(), actor=acme.member.user)


def test_the_secret_is_sealed_and_outlives_a_rotation(acme: SimpleNamespace) -> None:
    one = destinations.save_destination(
        organization=acme.organization,
        draft=DestinationDraft("Main", "exports", "key", "top-secret"),
        actor=acme.admin.user,
    )
    connection = ProviderConnectionFactory(organization=acme.organization)
    assert b"top-secret" not in bytes(one.secret)
    organization = acme.organization
    organization.data_key = crypto.with_new_key(organization.data_key)
    organization.save()
    resealing.seal_all_again(organization)
    organization.data_key = crypto.newest_only(organization.data_key)
    organization.save()
    one = destinations.destination_of(organization.pk, one.pk)
    assert sealing.open_secret(one) == "top-secret"
    connection = type(connection).objects.select_related("organization").get(pk=connection.pk)
    assert open_credentials(connection) == {"api_key": SECRET}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": " "}, "name is ' '"),
        ({"bucket": "No Bucket"}, "bucket is 'No Bucket'"),
        ({"prefix": "../up"}, "prefix is"),
        ({"region": "Mars!"}, "region is"),
        ({"access_key_id": ""}, "access_key_id is"),
        ({"secret": ""}, "secret is empty"),
        ({"endpoint_url": "ftp://x"}, "endpoint_url"),
    ],
)
def test_bad_destinations_are_refused_by_field(
    acme: SimpleNamespace, change: dict[str, str], words: str
) -> None:
    facts = {"name": "N", "bucket": "exports", "access_key_id": "k", "secret": "s"} | change
    with pytest.raises(DomainError, match=words):
        destinations.save_destination(
            organization=acme.organization, draft=DestinationDraft(**facts), actor=None
        )
    assert not ExportDestination.objects.exists()


def test_a_new_endpoint_needs_the_secret_again_and_names_are_unique(acme: SimpleNamespace) -> None:
    one = ExportDestinationFactory(organization=acme.organization, name="Main")
    ExportDestinationFactory(organization=acme.organization, name="Other")
    draft = DestinationDraft("Main", "exports", "key", endpoint_url="https://s3.example.com")
    with pytest.raises(DomainError, match="secret again"):
        destinations.save_destination(
            organization=acme.organization, draft=draft, destination=one, actor=None
        )
    with pytest.raises(ConflictError, match="has that name"):
        destinations.save_destination(
            organization=acme.organization,
            draft=DestinationDraft("Other", "exports", "key"),
            destination=one,
            actor=None,
        )


def test_a_used_destination_is_not_removed(acme: SimpleNamespace) -> None:
    one = ExportDestinationFactory(organization=acme.organization)
    used = ExportScheduleFactory(organization=acme.organization, destination=one)
    with pytest.raises(ConflictError, match=used.name):
        destinations.remove_destination(destination=one, actor=None)
    used.delete()
    destinations.remove_destination(destination=one, actor=None)
    assert not ExportDestination.objects.exists()
