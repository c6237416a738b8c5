"""`manage.py doctor` on a sound installation and on broken ones."""

import json
import socket
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, connections
from redis import Redis

from config.embedded import free_port
from core.doctor import database, machine, outside, processes
from core.doctor.findings import Finding, Level


def levels(findings: list[Finding]) -> dict[str, Level]:
    return {finding.name: finding.level for finding in findings}


@pytest.fixture
def no_database() -> Iterator[None]:
    wrapper = connections["default"]
    wrapper.close()
    port = wrapper.settings_dict["PORT"]
    wrapper.settings_dict["PORT"] = free_port()
    yield
    wrapper.settings_dict["PORT"] = port


@pytest.mark.django_db
def test_sound_database_passes_every_check() -> None:
    found = levels(database.database())
    assert set(found.values()) == {Level.OK}
    assert {"database", "pgvector", "migrations", "clock", "partitions of traces_span"} <= set(
        found
    )


@pytest.mark.django_db(transaction=True)
def test_unreachable_database_fails_with_the_way_out(no_database: None) -> None:
    (finding,) = database.database()
    assert finding.level is Level.FAIL
    assert "Connection refused" in finding.detail
    assert finding.advice == "Start it with `make run`, or check DATABASE_URL."


@pytest.mark.django_db(transaction=True)
def test_missing_partition_fails() -> None:
    from core import partitions

    tables = partitions.registered_tables()
    days = {table: partitions.existing_days(table) for table in tables}
    name = partitions.partition_name(tables[0], max(days[tables[0]]))
    assert "partitions" not in name or name
    with connection.cursor() as cursor:
        for day in sorted(days[tables[0]])[-4:]:
            cursor.execute(f'DROP TABLE "{partitions.partition_name(tables[0], day)}"')
    try:
        assert levels(database.database())[f"partitions of {tables[0]}"] is Level.FAIL
    finally:
        partitions.ensure_days(days[tables[0]], tables=[tables[0]])


def test_redis_without_appendonly_and_with_eviction_is_a_warning(settings: Any) -> None:
    with Redis.from_url(settings.REDIS_URL) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        try:
            found = levels(processes.redis())
        finally:
            client.config_set("maxmemory-policy", "noeviction")
    assert found == {
        "redis": Level.OK,
        "redis appendonly": Level.WARN,  # the services of the tests are not durable
        "redis eviction": Level.WARN,
    }


def test_unreachable_redis_fails(settings: Any) -> None:
    settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"
    assert levels(processes.redis()) == {"redis": Level.FAIL}


def test_installed_packages_are_the_pinned_ones() -> None:
    assert levels(machine.packages()) == {"packages": Level.OK}


def test_other_version_of_a_package_is_named(settings: Any, tmp_path: Any) -> None:
    settings.BASE_DIR = tmp_path
    (tmp_path / "requirements.txt").write_text(
        "django==1.0  # old\nno-such-thing==2\n", encoding="utf-8"
    )
    (finding,) = machine.packages()
    assert finding.level is Level.FAIL
    assert finding.detail.startswith("django is 5.2")
    assert finding.detail.endswith("pinned 1.0; no-such-thing is missing, pinned 2")


@pytest.mark.parametrize(
    ("secret", "keys", "expected"),
    [
        ("x" * 50, ["dGVzdC1vbmx5LWtleS10ZXN0LW9ubHkta2V5LTEyMzQ="], Level.OK),
        ("insecure-until-configured", ["dGVzdC1vbmx5LWtleS10ZXN0LW9ubHkta2V5LTEyMzQ="], Level.FAIL),
        ("x" * 50, [], Level.FAIL),
        ("x" * 50, ["c2hvcnQ="], Level.FAIL),
        ("x" * 50, ["not base64!"], Level.FAIL),
    ],
)
def test_secrets(settings: Any, secret: str, keys: list[str], expected: Level) -> None:
    settings.SECRET_KEY = secret
    settings.LLMLAB_ENCRYPTION_KEYS = keys
    assert levels(machine.secrets()) == {"secrets": expected}


def test_base_url_that_is_no_allowed_host_fails(settings: Any) -> None:
    settings.LLMLAB_BASE_URL = "https://llmlab.example"
    settings.ALLOWED_HOSTS = ["localhost"]
    finding = outside.address()[0]
    assert finding.level is Level.FAIL
    assert finding.advice == "Add llmlab.example to LLMLAB_ALLOWED_HOSTS."
    settings.ALLOWED_HOSTS = [".example"]
    assert outside.address()[0].level is Level.OK


def test_port_of_another_program_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        monkeypatch.setenv("PORT", str(other.getsockname()[1]))
        finding = outside.address()[1]
    assert finding.level is Level.WARN
    assert finding.detail == f"{other_port(finding)} is taken by another program"


def other_port(finding: Finding) -> str:
    return finding.detail.split()[0]


@pytest.mark.django_db
def test_without_a_worker_the_scheduler_and_worker_warn() -> None:
    assert levels(processes.worker()) == {"worker": Level.WARN}
    assert levels(processes.scheduler()) == {"scheduler": Level.WARN}


@pytest.mark.django_db
def test_command_prints_json_and_ends_well_without_failures() -> None:
    out = StringIO()
    call_command("doctor", json=True, stdout=out)
    found = json.loads(out.getvalue())
    assert {"name": "pgvector", "level": "OK", "detail": "0.8.5", "advice": ""} in found
    assert "FAIL" not in {entry["level"] for entry in found}


@pytest.mark.django_db(transaction=True)
def test_command_exits_1_on_a_failure(no_database: None) -> None:
    out = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("doctor", stdout=out, no_color=True)
    assert ended.value.code == 1
    assert "FAIL database: " in out.getvalue()
