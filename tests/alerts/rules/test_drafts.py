"""What may be a rule: each refusal names field, value and rule."""

from decimal import Decimal
from typing import Any

import pytest

from alerts.rules.drafts import read_draft
from alerts.rules.levels import read_levels
from alerts.rules.reading import InvalidRuleError
from alerts.rules.words import condition_words, scope_words
from tests.factories.alerts import ChannelFactory
from tests.factories.projects import ProjectFactory

pytestmark = pytest.mark.django_db
LEVELS = [{"limit": "5", "severity": "warning"}, {"limit": "20", "severity": "critical"}]
RULE = {"name": "Errors", "kind": "error_rate", "levels": LEVELS}


def test_a_rule_is_normalised(acme, project, errors) -> None:
    channel = ChannelFactory.create(organization=acme.organization)
    draft = read_draft(
        acme.organization.pk,
        RULE
        | {
            "levels": LEVELS[::-1], "project": "checkout", "model": " gpt-5 ", "window_minutes": "30",
            "recover_margin": "0.1", "channels": [str(channel.pk)] * 2, "minimum_sample": 20,
        },
    )  # fmt: skip
    assert draft.levels == LEVELS
    assert (draft.model, draft.window_minutes, draft.recover_margin) == (
        "gpt-5",
        30,
        Decimal("0.1"),
    )
    assert draft.channels == [channel.pk]
    alert = draft.alert()
    assert condition_words(alert) == (
        "Error rate rises to 5.0% (warning) or 20.0% (critical) over 30 minutes"
    )
    assert scope_words(alert) == "Checkout, model gpt-5"


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 121}, "name"),
        ({"name": "a\x00"}, "name"),
        ({"kind": "weather"}, "kind"),
        ({"kind": None}, "kind"),
        ({"levels": []}, "levels"),
        ({"levels": "5"}, "levels"),
        ({"levels": [{"limit": 5.5, "severity": "warning"}]}, "levels"),
        ({"levels": [{"limit": "5", "severity": "bad"}]}, "levels"),
        ({"levels": [{"limit": "0", "severity": "info"}]}, "levels"),
        ({"levels": [{"limit": "1e3", "severity": "info"}]}, "levels"),
        ({"levels": [{"limit": "5", "severity": "info", "x": 1}]}, "levels"),
        ({"levels": [{"limit": str(n), "severity": "info"} for n in range(1, 12)]}, "levels"),
        ({"levels": [LEVELS[0], LEVELS[0]]}, "levels"),
        (
            {"levels": [{"limit": "5", "severity": "error"}, {"limit": "9", "severity": "info"}]},
            "levels",
        ),
        ({"project": "elsewhere"}, "project"),
        ({"window_minutes": 0}, "window_minutes"),
        ({"window_minutes": 10081}, "window_minutes"),
        ({"window_minutes": True}, "window_minutes"),
        ({"minimum_sample": "-1"}, "minimum_sample"),
        ({"pending_minutes": "1.5"}, "pending_minutes"),
        ({"recover_margin": "0.95"}, "recover_margin"),
        ({"recover_margin": "0.00001"}, "recover_margin"),
        ({"direction": "sideways"}, "direction"),
        ({"compare_with": "x"}, "compare_with"),
        ({"on_no_data": "x"}, "on_no_data"),
        ({"user_id": "ada", "tag": "x"}, "tag"),
        ({"percentile": 95}, "percentile"),
        ({"score_name": "x"}, "score_name"),
        ({"budget": "x"}, "budget"),
        ({"escalate_minutes": 5}, "escalation_channels"),
        ({"remind_hours": 23}, "remind_hours"),
        ({"channels": ["x"]}, "channels"),
        ({"channels": "x"}, "channels"),
        ({"is_enabled": "yes"}, "is_enabled"),
        ({"note": "x" * 2001}, "note"),
        ({"model": 5}, "model"),
        ({"agent": "\ud800"}, "agent"),
    ],
)
def test_what_cannot_be_is_refused_at_its_field(acme, errors, values, field) -> None:
    with pytest.raises(InvalidRuleError) as refused:
        read_draft(acme.organization.pk, RULE | values)
    assert refused.value.fields == (field,)
    assert "must be" in refused.value.detail


def test_what_is_of_another_organisation_is_unknown_denied(acme, globex, errors) -> None:
    theirs = ChannelFactory.create(organization=globex.organization)
    ProjectFactory(organization=globex.organization, slug="secret")
    for values in ({"channels": [str(theirs.pk)]}, {"project": "secret"}):
        with pytest.raises(InvalidRuleError):
            read_draft(acme.organization.pk, RULE | values)


@pytest.mark.parametrize(
    ("direction", "compare", "unit", "limits", "is_fine"),
    [
        ("above", "before", "percent", ["50", "200"], True),
        ("above", "before", "percent", ["-50"], False),
        ("below", "before", "percent", ["-80", "-20"], True),
        ("below", "before", "percent", ["20"], False),
        ("below", "value", "score", ["0.5", "0.8"], True),
        ("below", "value", "per_minute", ["0"], True),
        ("above", "value", "usd", ["18,000.50"], True),
        ("above", "value", "usd", ["10000001"], False),
    ],
)
def test_limits_lie_in_the_direction_of_the_rule(direction, compare, unit, limits, is_fine) -> None:
    given: list[Any] = [{"limit": one, "severity": "warning"} for one in limits]
    if not is_fine:
        with pytest.raises(InvalidRuleError):
            read_levels(given, unit=unit, direction=direction, compare_with=compare)
        return
    found = [
        Decimal(one["limit"])
        for one in read_levels(given, unit=unit, direction=direction, compare_with=compare)
    ]
    assert found == sorted(found, reverse=direction == "below")
