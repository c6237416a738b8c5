"""Figures and times in the reader's own separators and zone; programs see none of it."""

import datetime as dt
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from accounts.models import User
from core import formats
from core.person_formats import NUMBER_STYLES, reader, reading_as, time_zones

AT = dt.datetime(2026, 11, 20, 23, 30, 5, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("style", "money", "tokens", "percent", "size"),
    [
        ("1,234.56", "$12,847.32", "1.02M", "18.2%", "1.2 MB"),
        ("1.234,56", "$12.847,32", "1,02M", "18,2%", "1,2 MB"),
        ("1 234,56", "$12\u202f847,32", "1,02M", "18,2%", "1,2 MB"),
        ("1’234.56", "$12’847.32", "1.02M", "18.2%", "1.2 MB"),
    ],
)
def test_separators_follow_the_style(
    style: str, money: str, tokens: str, percent: str, size: str
) -> None:
    with reading_as(lambda: reader(style, "")):
        assert formats.money(Decimal("12847.321")) == money
        assert formats.tokens(1_020_000) == tokens
        assert formats.percent(0.182) == percent
        assert formats.byte_size(1_258_291) == size
    assert formats.money(Decimal("12847.321")) == "$12,847.32"


def test_changes_and_counts_are_written_once_not_twice() -> None:
    with reading_as(lambda: reader("1.234,56", "")):
        assert formats.delta(1182, 1000).text == "18,2%"
        assert formats.count(1_234_567) == "1.234.567"
        assert formats.duration(11_840) == "11,84 s"


def test_times_are_in_the_chosen_zone_and_name_it() -> None:
    with reading_as(lambda: reader("1,234.56", "Asia/Tokyo")):
        assert formats.exact_time(AT) == "2026-11-21 08:30:05 JST"
        assert formats.day_time(AT, AT) == "Nov 21 08:30:05"
        assert formats.clock(AT) == "08:30:05"
        assert formats.relative_time(AT, AT + dt.timedelta(days=3)) == "Nov 21"
        # Billing days stay UTC.
        assert formats.date(AT, AT) == "Nov 20"
    assert formats.exact_time(AT) == "2026-11-20 23:30:05 UTC"


def test_programs_read_plain_numbers() -> None:
    with reading_as(lambda: reader("1.234,56", "Asia/Tokyo")):
        assert formats.plain_decimal(Decimal("1234.50")) == "1234.5"
        assert formats.instant(AT) == "2026-11-20T23:30:05Z"


def test_a_zone_that_no_longer_exists_counts_as_none() -> None:
    assert reader("?", "Mars/Olympus").zone is None
    assert reader("?", "../etc/passwd").zone is None
    assert reader("?", "").is_plain


def test_zones_offered_are_areas_and_cities() -> None:
    assert {"UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"} <= set(time_zones())
    assert not [name for name in time_zones() if name.startswith("Etc/")]


@pytest.mark.django_db
def test_a_person_chooses_and_pages_follow(acme: SimpleNamespace, client_of: Any) -> None:
    client = client_of(acme.viewer)
    chosen = {"time_zone": "Asia/Tokyo", "number_style": "1.234,56"}
    assert client.post("/me/appearance/", chosen).status_code == 302
    user = User.objects.get(pk=acme.viewer.user_id)
    assert (user.time_zone, user.number_style, user.has_shortcuts) == (
        "Asia/Tokyo",
        "1.234,56",
        False,
    )
    page = client.get("/me/").content.decode()
    assert 'data-time-zone="Asia/Tokyo"' in page
    assert 'data-decimal=","' in page
    assert 'data-shortcuts="off"' in page
    assert " JST" in page
    other = client_of(acme.member).get("/me/").content.decode()
    assert "data-time-zone" not in other
    assert 'data-shortcuts="off"' not in other


@pytest.mark.django_db
@pytest.mark.parametrize(
    "wrong",
    [{"time_zone": "Mars/Olympus"}, {"number_style": "1;2"}, {"number_style": ""}],
)
def test_what_cannot_be_chosen_is_refused_at_its_field(
    acme: SimpleNamespace, client_of: Any, wrong: dict[str, str]
) -> None:
    client = client_of(acme.viewer)
    sent = {"time_zone": "", "number_style": next(iter(NUMBER_STYLES)), **wrong}
    answer = client.post("/me/appearance/", sent)
    assert answer.status_code == 422
    assert f'data-field="{next(iter(wrong))}"' in answer.content.decode()
    assert 'class="error"' in answer.content.decode()
    assert User.objects.get(pk=acme.viewer.user_id).time_zone == ""
