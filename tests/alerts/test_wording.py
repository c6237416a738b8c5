"""What messages say: figure, limit, by how much, since when; unknown figures are unknown, names are names."""

import datetime as dt
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from alerts import figures, phrases, wording
from alerts.models import AlertEvent, AlertKind
from alerts.notices import Notice
from alerts.phrases import Case
from core.person_formats import Reader, reading_as
from tests.factories.accounts import OrganizationFactory, UserFactory
from tests.factories.alerts import AlertEventFactory, AlertFactory

NOW = dt.datetime(2026, 11, 21, 14, 30, tzinfo=dt.UTC)
BEGAN = NOW - dt.timedelta(minutes=75)
UNITS = {
    "budget": "percent", "forecast": "percent", "anomaly": "usd", "spend": "usd", "cost_per_call": "usd",
    "error_rate": "percent", "latency": "ms", "call_rate": "per_minute", "token_rate": "per_minute",
    "unpriced": "percent", "quality": "score", "reconciliation": "percent", "sync_failed": "", "ingest_lag": "seconds",
    "no_data": "minutes", "fallbacks": "percent", "calls_limited": "percent", "queue_wait": "ms",
    "circuit_open": "minutes", "cache_wrong": "percent",
}  # fmt: skip


def case(kind: str, value: str | None, limit: str | None, **more: object) -> Case:
    return Case(
        kind=kind,
        name="Support bot",
        value=None if value is None else Decimal(value),
        limit=None if limit is None else Decimal(limit),
        unit=UNITS[kind],
        window_minutes=15,
        **more,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("given_case", "title", "words"),
    [
        (
            case(
                "budget",
                "81.2",
                "80",
                period="2026-11",
                facts={"spent_usd": "81.2", "limit_usd": "100"},
            ),
            "Budget Support bot: 81.2% spent ($81.20 of $100.00)",
            "$81.20 of the budget Support bot of $100.00 is spent in 2026-11: 81.2%. The threshold is 80.0%, $80.00;"
            " $1.20 (1.5%) over.",
        ),
        (
            case(
                "forecast",
                "142.1",
                "100",
                facts={"forecast_usd": "142.1", "limit_usd": "100", "spent_usd": "60"},
            ),
            "Budget Support bot: 142.1% forecast ($142.10 of $100.00)",
            "$142.10 is forecast by the end of its period for the budget Support bot of $100.00: 142.1%. The limit is"
            " 100%; $42.10 (42.1%) over. $60.00 is spent so far.",
        ),
        (
            case(
                "anomaly",
                "40",
                "10",
                facts={"spent_usd": "50", "expected_usd": "10", "day": "2026-11-20"},
            ),
            "Support bot: $50.00 spent on 2026-11-20; $10.00 was expected",
            "$50.00 was spent on 2026-11-20; $10.00 was expected, 400.0% more. The limit is $10.00;"
            " $30.00 (300.0%) over.",
        ),
        (
            case("spend", "12", "10", scope="model gpt-5.5"),
            "Support bot: spend $12.00",
            "The spend of model gpt-5.5 in the last 15 minutes: $12.00. The limit is $10.00; $2.00 (20.0%) over.",
        ),
        (
            case(
                "spend",
                "140",
                "100",
                is_compared=True,
                own_unit="usd",
                facts={"now_value": "12", "before_value": "5"},
            ),
            "Support bot: spend up 140.0%",
            "The spend in the last 15 minutes: $12.00, after $5.00 in the window before, up 140.0%. The limit is up"
            " 100%.",
        ),
        (
            case("cost_per_call", "0.0847", "0.05"),
            "Support bot: cost per call $0.0847",
            "The cost per call in the last 15 minutes: $0.0847. The limit is $0.05; $0.0347 (69.4%) over.",
        ),
        (
            case("error_rate", "7.5", "5", facts={"sample": 400}),
            "Support bot: 7.5% of calls failed",
            "7.5% of 400 calls failed in the last 15 minutes. The limit is 5.0%; 2.5 points over.",
        ),
        (
            case("latency", "4200", "3000", percentile=95),
            "Support bot: p95 latency 4.20 s",
            "The p95 latency in the last 15 minutes: 4.20 s. The limit is 3.00 s; 1.20 s (40.0%) over.",
        ),
        (
            case("call_rate", "3", "10", is_below=True),
            "Support bot: rate 3 calls a minute",
            "The rate in the last 15 minutes: 3 calls a minute. The limit is 10 calls a minute; 7 calls a minute"
            " (70.0%) under.",
        ),
        (
            case("token_rate", "12000", "10000"),
            "Support bot: rate 12,000 tokens a minute",
            "The rate in the last 15 minutes: 12,000 tokens a minute. The limit is 10,000 tokens a minute; 2,000"
            " tokens a minute (20.0%) over.",
        ),
        (
            case("unpriced", "30", "20"),
            "Support bot: 30.0% of calls have no price",
            "30.0% of the calls in the last 15 minutes have no price, so that no amount holds them. The limit is"
            " 20.0%; 10 points over.",
        ),
        (
            case("quality", "0.71", "0.8", is_below=True, score_name="helpful"),
            "Support bot: helpful 0.71",
            "The average of helpful in the last 15 minutes: 0.71. The limit is 0.8; 0.09 (11.3%) under.",
        ),
        (
            case(
                "reconciliation",
                "6",
                "5",
                subject="OpenAI",
                facts={"billed_usd": "100", "recorded_usd": "94"},
            ),
            "OpenAI: bill and records differ by 6.0%",
            "The bill of OpenAI and the recorded calls differ by 6.0%: $100.00 billed, $94.00 recorded. The limit is"
            " 5.0%; 1 point over.",
        ),
        (
            case("sync_failed", None, None, subject="OpenAI", facts={"error": "401 bad key"}),
            "OpenAI: the bill could not be read",
            "The bill of OpenAI could not be read: 401 bad key. Its amounts are not up to date.",
        ),
        (
            case("ingest_lag", "90", "60"),
            "Support bot: calls arrive 1m 30s late",
            "Calls arrive 1m 30s after they were made. The limit is 1m 0s; 30.00 s (50.0%) over.",
        ),
        (
            case("no_data", "130", "60"),
            "Support bot: no calls for 2 h 10 min",
            "No call has arrived for 2 h 10 min. The limit is 1 hour.",
        ),
    ],
    ids=lambda one: one.kind if isinstance(one, Case) else "",
)
def test_each_kind_has_a_sentence(given_case: Case, title: str, words: str) -> None:
    assert phrases.told(given_case) == (title, words)


def test_no_kind_is_without_its_own_sentence() -> None:
    assert set(phrases._SENTENCES) == set(AlertKind.values)


def test_what_nobody_knows_is_not_zero() -> None:
    for kind in AlertKind.values:
        title, words = phrases.told(case(kind, None, "5"))
        assert "$0" not in title + words, kind
        assert " 0" not in (title + words).replace("15 minutes", ""), kind
        told = phrases.told(case(kind, "7", "5", facts={"spent_usd": None, "limit_usd": ""}))
        assert "$0 " not in told[1], kind


def test_amounts_that_look_alike_are_written_out() -> None:
    _, words = phrases.told(case("spend", "10.004", "10"))
    assert "$10.004. The limit is $10; $0.004 (<0.1%) over." in words


@examples(max_examples=60)
@given(
    name=st.text(max_size=300),
    value=st.none() | st.decimals(-(10**15), 10**15, allow_nan=False, places=6),
    kind=st.sampled_from(AlertKind.values),
)
def test_titles_are_one_line_of_200_letters(name: str, value: Decimal | None, kind: str) -> None:
    title, words = phrases.told(
        Case(kind=kind, name=name, value=value, limit=Decimal(5), unit=UNITS[kind], subject=name)
    )
    assert len(title) <= 200
    assert title.isprintable()
    assert "\r" not in words + title
    assert "\n" not in words + title


@pytest.fixture
def event(db: None) -> AlertEvent:
    organization = OrganizationFactory(name="Acme", slug="acme")
    alert = AlertFactory(organization=organization, model="gpt-5.5", note="Ask Ann.")
    made: AlertEvent = AlertEventFactory(
        organization=organization,
        alert=alert,
        dedup_key=f"llmlab:error_rate:{alert.pk}::1",
        began_at=BEGAN,
        fired_at=BEGAN,
        evidence={
            "points": [["2026-11-21T14:00:00Z", "3"], ["2026-11-21T14:15:00Z", None]],
            "causes": [{"dimension": "model", "value": "gpt-5.5", "words": "80 of 100", "share": "0.8"}],
            "url": "/projects/checkout/traces/?status=error",
            "url_label": "See the failed calls",
        },
    )  # fmt: skip
    return made


def test_a_notice_has_everything_a_channel_shows(event: AlertEvent, settings: object) -> None:
    settings.LLMLAB_BASE_URL = "https://llmlab.example"  # type: ignore[attr-defined]
    notice = wording.notice_of(event, "trigger", NOW)
    assert (notice.title, notice.words) == (event.title, event.words)
    assert (notice.value, notice.limit, notice.over) == ("7.5", "5", "2.5 points over")
    assert (notice.value_words, notice.limit_words) == ("7.5%", "5.0%")
    assert notice.rows[-1] == ("Since", "2026-11-21 13:15 UTC")
    assert notice.causes == (("model", "gpt-5.5", "80 of 100"),)
    assert notice.points == (("2026-11-21T14:00:00Z", "3"), ("2026-11-21T14:15:00Z", None))
    assert (notice.scope, notice.note) == ("model gpt-5.5", "Ask Ann.")
    page = f"https://llmlab.example/organizations/acme/alerts/events/{event.pk}/"
    assert notice.links == (
        ("Open the alert", page),
        ("See the failed calls", "https://llmlab.example/projects/checkout/traces/?status=error"),
        ("Acknowledge", f"{page}acknowledge/"),
        ("Snooze", f"{page}snooze/"),
    )
    assert Notice.from_json(notice.to_json()) == notice


def test_each_action_says_what_is_new(event: AlertEvent) -> None:
    event.acknowledged_by = UserFactory.build(name="Ann")
    event.resolve_reason = ""
    starts = {
        "raise": ("Raised to warning: ", "7.5 %"),
        "remind": ("Still firing: ", "It has been firing since 2026-11-21 13:15 UTC, for 1 h 15 min."),
        "escalate": ("Nobody has acknowledged: ", "It has been firing"),
        "acknowledge": ("Acknowledged: ", "Ann looks after it."),
        "resolve": ("Resolved: ", "The value is back within its limit, after 1 h 15 min."),
    }  # fmt: skip
    for action, (title, words) in starts.items():
        notice = wording.notice_of(event, action, NOW)
        assert notice.title.startswith(title)
        assert notice.words.startswith(words)
    resolved = wording.notice_of(event, "resolve", NOW)
    assert resolved.state == "resolved"
    assert [label for label, _ in resolved.links] == ["Open the alert", "See the failed calls"]


def test_a_message_is_written_for_nobody_in_particular(event: AlertEvent) -> None:
    event.title = event.words = ""
    with reading_as(lambda: Reader(group=".", decimal=",")):
        notice = wording.notice_of(event, "trigger", NOW)
    assert notice.value_words == "7.5%"
    assert "7.5%" in notice.title


def test_words_hold_without_the_rule_and_without_an_organisation(event: AlertEvent) -> None:
    event.alert = None
    event.organization = None
    notice = wording.notice_of(event, "trigger", NOW)
    assert notice.organization == notice.note == ""
    assert all("://" in url for _, url in notice.links)


@pytest.mark.parametrize(
    ("value", "limit", "unit", "words"),
    [
        ("80.03706107692307692307692308", "80", "percent", ("80.04%", "80%")),
        ("79.9996", "80", "percent", ("79.9996%", "80%")),
        ("80.3010000001", "80.301", "usd", ("$80.3010000001", "$80.301")),
        ("81.5", "80", "percent", ("81.5%", "80.0%")),
    ],
)
def test_a_value_beside_its_limit_has_the_digits_that_tell_them_apart_and_no_more(
    value, limit, unit, words
) -> None:
    assert figures.pair(Decimal(value), Decimal(limit), unit) == words
