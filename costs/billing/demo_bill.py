"""The demo's bill: what its simulated providers charge for the calls the demo has recorded, and the connections to it.

The bill follows the records, hour by hour, with what makes a real bill differ: a key that never passes LLMLab, figures
that come hours late, a day that is corrected after it was read, a credit, a discount. The same records make the same
bill, so posting it again corrects nothing that was closed.
"""

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from django.conf import settings

from accounts.models import Role, User
from core.errors import ConflictError, DomainError
from core.formats import plain_decimal
from core.http import OutboundClient
from costs.billing import connections as services
from costs.billing.demo_key import service_account_key
from costs.models import CostRecord, SyncSchedule
from projects.connections import seal_credentials
from projects.demo import SLUG
from projects.models import Project, ProviderConnection

HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
# No sync looks further back than this (the plugins' overlaps), and the demo's history is half as long.
DAYS = 62
CHUNK = 5_000
# Where each provider books the demo's calls: sub-account, its name, key, its name.
BOOKS = {
    "openai": ("proj_support", "Support", "key_support_live", "Support Copilot"),
    "anthropic": ("wrkspc_support", "Support", "apikey_support_live", "Support Copilot"),
    "google": ("fernhill-support", "Support", "", ""),
}
# A key of another team: its calls never pass LLMLab.
OUTSIDE = ("proj_evals", "Evaluations", "key_ci_evals", "Nightly evaluations")
OUTSIDE_SHARE = Decimal("0.06")
# Classes that a bill does not know: reasoning is output, and so on.
BILLED_AS = {
    **{(provider, "reasoning"): "output" for provider in BOOKS},
    ("anthropic", "cache_write"): "cache_write_5m",
    ("openai", "cache_write"): "input",
    ("google", "cache_write"): "input",
}
DISCOUNT = Decimal("0.1")
CREDIT = Decimal("-0.80")
DELAY = {"anthropic": 6 * HOUR, "google": 20 * HOUR}
# This long after the demo began, the day before yesterday is corrected.
CORRECTED_AFTER = dt.timedelta(minutes=40)
MICRO = Decimal("0.000001")
NAMES = {"openai": "OpenAI", "anthropic": "Anthropic", "google": "Google Cloud"}

Charge = dict[str, Any]


def bill_demo(*, project: Project, simulator_url: str, actor: User, now: dt.datetime) -> None:
    """Post the bill of everything recorded so far, and connect the demo's organisation to it. Safe to repeat: what
    is connected stays, at the simulator's address of today."""
    charges = list(charges_of(project, now=now))
    with OutboundClient(total_s=60.0) as client:
        reply = client.request(
            "POST",
            f"{simulator_url}/simulator/billing/world",
            json={"mode": "replace", "charges": charges},
        )
        if reply.status != 200:
            raise DomainError(f"The simulator refuses the bill: {reply.text()}")
    for provider in NAMES:
        _connect(project, provider, simulator_url, actor, now)


def charges_of(project: Project, *, now: dt.datetime) -> Iterator[Charge]:
    """The bill as the simulator takes it: each provider's recorded hours, and what only the provider knows."""
    since = now - DAYS * DAY
    for provider in NAMES:
        hours = _recorded_hours(project, provider, since)
        for key, (quantity, amount, requests) in sorted(hours.items()):
            charge = _charge(provider, key, quantity, amount, requests)
            if provider == "google":
                off = (amount * DISCOUNT).quantize(MICRO)
                charge |= {"amount": plain_decimal(amount - off), "credits": plain_decimal(off)}
            yield charge
        if provider == "openai":
            yield from _outside(hours)
            yield from _credits(hours)
        yield from _corrections(provider, hours, project.created_at)


Key = tuple[dt.datetime, str, str, str]
Hours = dict[Key, tuple[Decimal, Decimal, int]]


def _recorded_hours(project: Project, provider: str, since: dt.datetime) -> Hours:
    """Quantity, amount and requests by hour, model, tier and the token class that the provider bills."""
    rows = CostRecord.objects.filter(
        project=project, provider=provider, occurred_at__gte=since, cost_usd__isnull=False
    ).values_list("occurred_at", "model", "service_tier", "breakdown")
    found: Hours = {}
    for at, model, tier, breakdown in rows.iterator(chunk_size=CHUNK):
        hour = at.replace(minute=0, second=0, microsecond=0)
        for place, line in enumerate(breakdown):
            name = BILLED_AS.get((provider, line["class"]), line["class"])
            key = (hour, model, tier, name)
            quantity, amount, requests = found.get(key, (Decimal(0), Decimal(0), 0))
            found[key] = (
                quantity + Decimal(line["quantity"]),
                amount + Decimal(line["cost_usd"]),
                requests + (place == 0),
            )
    return found


def _charge(provider: str, key: Key, quantity: Decimal, amount: Decimal, requests: int) -> Charge:
    at, model, tier, token_class = key
    sub_account, sub_account_name, key_id, key_name = BOOKS[provider]
    charge = {
        "at": at.isoformat(),
        "provider": provider,
        "sub_account": sub_account,
        "sub_account_name": sub_account_name,
        "key": key_id,
        "key_name": key_name,
        "model": model,
        "tier": tier,
        "token_class": token_class,
        "quantity": plain_decimal(quantity),
        "requests": requests,
        "amount": plain_decimal(amount),
    }
    if provider in DELAY:
        charge["visible_from"] = (at + DELAY[provider]).isoformat()
    return charge


def _by_day(hours: Hours) -> dict[dt.datetime, list[tuple[Key, tuple[Decimal, Decimal, int]]]]:
    found: dict[dt.datetime, list[tuple[Key, tuple[Decimal, Decimal, int]]]] = {}
    for key, sums in sorted(hours.items()):
        found.setdefault(key[0].replace(hour=0), []).append((key, sums))
    return found


def _outside(hours: Hours) -> Iterator[Charge]:
    """Every weekday night, another team's evaluations: a share of what the day before cost, by a key of their own."""
    for day, rows in _by_day(hours).items():
        if (day + DAY).weekday() >= 5:
            continue
        sums: dict[tuple[str, str, str], tuple[Decimal, Decimal, int]] = {}
        for (_, *names), (quantity, amount, requests) in rows:
            one = (names[0], names[1], names[2])
            had = sums.get(one, (Decimal(0), Decimal(0), 0))
            sums[one] = (had[0] + quantity, had[1] + amount, had[2] + requests)
        for (model, tier, token_class), (quantity, amount, requests) in sums.items():
            count = int(quantity * OUTSIDE_SHARE)
            if count and quantity:
                price = amount * count / quantity
                key = (day + DAY + 2 * HOUR, model, tier, token_class)
                charge = _charge(
                    "openai", key, Decimal(count), price.quantize(MICRO), max(1, requests // 20)
                )
                books = ("sub_account", "sub_account_name", "key", "key_name")
                yield charge | dict(zip(books, OUTSIDE, strict=True))


def _credits(hours: Hours) -> Iterator[Charge]:
    """A credit on the first day of each month that has calls."""
    for day in _by_day(hours):
        if day.day == 1:
            yield {
                "at": (day + 12 * HOUR).isoformat(),
                "provider": "openai",
                "sub_account": "",
                "category": "credit",
                "description": "Credit grant: startup programme",
                "amount": plain_decimal(CREDIT),
            }


def _corrections(provider: str, hours: Hours, began: dt.datetime) -> Iterator[Charge]:
    """Some time after the demo began, two per cent come off a day that was read before."""
    if provider != "openai":
        return
    day = began.replace(hour=0, minute=0, second=0, microsecond=0) - 2 * DAY
    for key, (_, amount, _) in _by_day(hours).get(day, ())[:40]:
        if off := (amount / 50).quantize(MICRO):
            charge = _charge(provider, key, Decimal(0), -off, 0)
            yield charge | {"visible_from": (began + CORRECTED_AFTER).isoformat()}


def _access(provider: str, url: str) -> tuple[dict[str, str], dict[str, str]]:
    """Credentials that the simulator takes, and settings that lead there."""
    if provider == "openai":
        return {"admin_key": "sk-admin-demo-0123456789abcdef"}, {"base_url": f"{url}/v1"}
    if provider == "anthropic":
        return {"admin_key": "sk-ant-admin01-demo-0123456789"}, {"base_url": url}
    return (
        {"service_account_json": service_account_key(url)},
        {"dataset": "billing", "days": "utc", "base_url": url},
    )


def _connect(project: Project, provider: str, url: str, actor: User, now: dt.datetime) -> None:
    name = NAMES[provider]
    row = ProviderConnection.objects.filter(
        organization_id=project.organization_id, provider=provider, name=name
    ).first()
    credentials, wanted = _access(provider, url)
    if row is None:
        try:
            made = services.create_connection(
                organization=project.organization,
                provider=provider,
                name=name,
                values=credentials | wanted,
                actor=actor,
                now=now,
            )
        except ConflictError:  # somebody has renamed it: its bill is read
            return
        services.start_billing(
            connection=made,
            schedule=SyncSchedule.HOURLY,
            history_from=(project.created_at - 30 * DAY).date(),
            actor=actor,
            now=now,
        )
    elif row.settings.get("base_url") != wanted["base_url"]:
        row.credentials = seal_credentials(project.organization, row.pk, credentials)
        row.settings = row.settings | wanted
        row.save(update_fields=["credentials", "settings", "updated_at"])


def refresh_bill(*, now: dt.datetime) -> bool:
    """Bring the demo's bill up to date with its calls; False where no demo runs."""
    url = settings.LLMLAB_DEMO_SIMULATOR
    project = (
        Project.objects.select_related("organization")
        .filter(organization__is_demo=True, slug=SLUG)
        .first()
    )
    member = project and project.organization.memberships.filter(role=Role.OWNER).first()
    if not url or not project or not member:
        return False
    bill_demo(project=project, simulator_url=url, actor=member.user, now=now)
    return True
