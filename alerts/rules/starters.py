"""Ready-made rules to begin with: what most teams want to hear of, with limits that fit most."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction

from accounts.models import Organization, User
from alerts.channel_pages.services import create_channel
from alerts.measures.registry import measure_for, measures
from alerts.models import Alert, Channel, ChannelKind
from alerts.rules.drafts import read_draft
from alerts.rules.forms import initial_of_new
from alerts.rules.services import By, create_rule, free_name
from alerts.rules.words import condition_words
from core.errors import DomainError


@dataclass(frozen=True)
class Starter:
    """One ready-made rule. `data` is what alerts.rules.drafts reads."""

    key: str
    name: str
    why: str
    data: dict[str, Any]

    @property
    def condition(self) -> str:
        """What it says, in the words of any rule."""
        from_data = {"name": self.name, **self.data}
        return condition_words(read_draft(_NOBODY, from_data).alert())


_NOBODY = UUID(int=0)


def _levels(*given: tuple[str, str]) -> list[dict[str, str]]:
    return [{"limit": limit, "severity": severity} for limit, severity in given]


_STARTERS = (
    Starter(
        "budgets", "Budget thresholds", "Half, most and all of a budget spent, for every budget.",
        {"kind": "budget", "levels": _levels(("50", "info"), ("80", "warning"), ("100", "critical"))},
    ),
    Starter(
        "forecast", "Forecast over budget", "A budget that will not last, days before it is gone.",
        {"kind": "forecast", "levels": _levels(("100", "warning"))},
    ),
    Starter(
        "anomaly", "Spend anomaly", "A day that costs far more than days like it did.",
        {"kind": "anomaly", "levels": _levels(("10", "warning"))},
    ),
    Starter(
        "errors", "Error rate", "One call in twenty fails, for five minutes.",
        {"kind": "error_rate", "levels": _levels(("5", "warning"), ("20", "critical")), "window_minutes": 15,
         "minimum_sample": 20, "pending_minutes": 5},
    ),
    Starter(
        "unpriced", "Unpriced calls", "Calls whose cost nobody knows, so that totals say too little.",
        {"kind": "unpriced", "levels": _levels(("5", "warning")), "window_minutes": 60, "minimum_sample": 20},
    ),
    Starter(
        "sync", "Provider sync failed", "A provider's bill can no longer be read.",
        {"kind": "sync_failed", "levels": _levels(("1", "warning"))},
    ),
    Starter(
        "circuits", "Circuit open", "The gateway passes a provider's model by because its calls fail.",
        {"kind": "circuit_open", "levels": _levels(("1", "warning"), ("10", "critical"))},
    ),
    Starter(
        "fallbacks", "Gateway fallbacks", "One gateway call in ten needs another target than the first one.",
        {"kind": "fallbacks", "levels": _levels(("10", "warning"), ("50", "critical")), "window_minutes": 15,
         "minimum_sample": 20},
    ),
    Starter(
        "limited", "Calls refused by limits", "Limits, budgets or a full line refuse one gateway call in ten.",
        {"kind": "calls_limited", "levels": _levels(("10", "warning")), "window_minutes": 15, "minimum_sample": 20},
    ),
    Starter(
        "queue", "Gateway queue wait", "Calls wait for a worker: one in twenty for two seconds or more.",
        {"kind": "queue_wait", "levels": _levels(("2000", "warning"), ("10000", "critical")), "window_minutes": 15,
         "minimum_sample": 20},
    ),
    Starter(
        "cache", "Wrong cache hits", "The semantic cache answers questions that mean something else.",
        {"kind": "cache_wrong", "levels": _levels(("1", "warning"), ("5", "critical")), "window_minutes": 10080,
         "minimum_sample": 50},
    ),
    Starter(
        "silence", "No calls arrive", "Nothing was recorded for an hour: an outage, or an SDK that lost its key.",
        {"kind": "no_data", "levels": _levels(("60", "warning"))},
    ),
)  # fmt: skip


def starters() -> list[Starter]:
    """Those whose kind somebody feeds, in the order they are shown."""
    known = {one.kind for one in measures()}
    return [one for one in _STARTERS if one.data["kind"] in known]


def starters_for(organization_id: UUID) -> list[Starter]:
    """Those the organisation has no rule of yet. One query."""
    kinds = set(
        Alert.objects.filter(organization_id=organization_id).values_list("kind", flat=True)
    )
    return [one for one in starters() if one.data["kind"] not in kinds]


def starter_initial(key: str) -> tuple[str, dict[str, Any]]:
    """Kind and first values of the form. Raises DomainError."""
    one = _starter(key)
    data = {name: value for name, value in one.data.items() if name != "kind"}
    measure = measure_for(one.data["kind"])
    return measure.kind, initial_of_new(measure, {"name": one.name, **data})


def _starter(key: str) -> Starter:
    found = {one.key: one for one in starters()}
    if key not in found:
        raise DomainError(
            f"starter is {key[:40]!r}; it must be one of {', '.join(found)}.", fields=["starter"]
        )
    return found[key]


def add_starters(
    *, organization_id: UUID, keys: Sequence[str], actor: User, now: dt.datetime
) -> list[Alert]:
    """Make some of them, all or none; a kind there is a rule of already is passed over. They tell the person's e-mail
    channel, made where it is missing. Raises DomainError for none and for unknown ones."""
    wanted = [_starter(key) for key in dict.fromkeys(keys)]
    if not wanted:
        raise DomainError("starter is missing; choose at least one.", fields=["starter"])
    with transaction.atomic():
        # Two clicks at once add each rule once.
        organization = Organization.objects.select_for_update().get(pk=organization_id)
        open_ones = {one.key for one in starters_for(organization_id)}
        channel = own_channel(organization=organization, user=actor, now=now)
        return [
            create_rule(
                draft=read_draft(
                    organization_id,
                    {
                        **one.data,
                        "name": free_name(organization_id, one.name),
                        "channels": [channel.pk],
                    },
                ),
                by=By(actor),
                now=now,
            )
            for one in wanted
            if one.key in open_ones
        ]


def own_channel(*, organization: Organization, user: User, now: dt.datetime) -> Channel:
    """The e-mail channel of this person's address: the one there is, else a new one."""
    mine = Channel.objects.filter(
        organization=organization,
        kind=ChannelKind.EMAIL,
        is_enabled=True,
        settings__to__contains=[user.email],
    )
    return mine.order_by("created_at").first() or _made(organization, user, now)


def _made(organization: Organization, user: User, now: dt.datetime) -> Channel:
    return create_channel(
        organization=organization,
        kind=ChannelKind.EMAIL,
        name=_free_channel_name(organization.pk, f"E-mail to {user.name or user.email}"[:76]),
        values={"to": user.email},
        actor=user,
        now=now,
    ).channel


def _free_channel_name(organization_id: UUID, name: str) -> str:
    """Two people may be called the same."""
    taken = Channel.objects.filter(organization_id=organization_id, name__istartswith=name)
    known = {one.lower() for one in taken.values_list("name", flat=True)}
    found, number = name, 2
    while found.lower() in known:
        found, number = f"{name} {number}", number + 1
    return found
