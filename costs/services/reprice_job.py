"""Re-pricing as a job, and the preview that comes before it.

Both walk the same records day by day, newest first, project by project. A preview prices under the rules as they would
be and writes nothing; the job writes, chunk by chunk, each chunk one transaction with its progress. Nothing runs
between "saved" and "re-priced" that is not exact: records that arrive meanwhile are priced under the new rules.
"""

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from time import monotonic
from typing import Any
from uuid import UUID

import msgspec
from django.db import OperationalError, transaction
from django.db.models import Sum

from accounts.models import User
from accounts.services import record_audit_event
from core import jobs, partitions
from core.formats import plain_decimal
from core.models import Job
from costs import signals
from costs.models import CostAggregate, Dimension
from costs.price_rules import RuleSet
from costs.rule_drafts import RuleDraft
from costs.selectors.price_rules import rules_of, rules_with
from costs.services import rule_cache
from costs.services.record_costs import TABLE
from costs.services.reprice import Pace, Place, Scope, Tally, price_day, reprice_day
from projects.models import Project

REPRICE, PREVIEW = "costs.reprice", "costs.reprice_preview"
STEP_S = 3.0
TRIES = 4
# Up to so many calls are previewed while the page loads.
AT_ONCE = 20_000
FIRST = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
LAST = dt.datetime(2101, 1, 1, tzinfo=dt.UTC)


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a preview shows and a job does: which records of which projects, under which change of rules."""

    projects: list[UUID]
    scope: Scope
    # What is about to happen: "add", "replace", "remove" a rule, or "reprice" under the rules there are.
    action: str
    draft: RuleDraft | None = None
    number: int | None = None  # of the rule that is replaced or removed

    def as_params(self) -> dict[str, Any]:
        return dict(msgspec.to_builtins(self))

    @classmethod
    def of(cls, job: Job) -> "Plan":
        return msgspec.convert(job.params, cls, strict=False)


def scope_of(*rules: Any) -> Scope:
    """The records rules (drafts, rows) can be about: the days and names of any of them."""
    starts, ends = [rule.valid_from for rule in rules], [rule.valid_to for rule in rules]
    return Scope(
        start=FIRST if None in starts else _midnight(min(starts)),
        end=LAST if None in ends else _midnight(max(ends) + dt.timedelta(days=1)),
        patterns=tuple((rule.provider, rule.pattern) for rule in rules),
    )


def _midnight(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(), dt.UTC)


def projects_of_organization(organization_id: UUID) -> list[UUID]:
    """Every project whose calls the organisation's rules price. One query."""
    return list(
        Project.objects.filter(organization_id=organization_id)
        .exclude(status=Project.Status.DELETING)
        .order_by("pk")
        .values_list("pk", flat=True)
    )


def calls_in(plan: Plan) -> int:
    """How many calls the walk looks at, from the hourly sums. One query per project."""
    total = 0
    for project_id in plan.projects:
        rows = CostAggregate.objects.filter(
            project_id=project_id,
            dimension=Dimension.ALL,
            hour__gte=plan.scope.start.replace(minute=0, second=0, microsecond=0),
            hour__lt=plan.scope.end,
        )
        if plan.scope.provider is not None:
            rows = rows.filter(provider=plan.scope.provider, model=plan.scope.model)
        column = "unpriced_calls" if plan.scope.only_unpriced else "calls"
        total += rows.aggregate(n=Sum(column, default=0))["n"]
    return total


def start_preview(
    *, organization_id: UUID, plan: Plan, title: str, author: User | None, now: dt.datetime
) -> Job:
    """A job whose result says what `plan` would change. Small ones are done when this returns."""
    facts: dict[str, Any] = {
        "kind": PREVIEW,
        "title": title[:200],
        "organization_id": organization_id,
        "created_by_id": author.pk if author else None,
        "total": calls_in(plan),
        "params": plan.as_params(),
    }
    if facts["total"] > AT_ONCE:
        return jobs.start(**facts, now=now)
    job = jobs.create_job(**facts)
    while True:
        step = preview_step(job, now=now)
        job.done += step.done
        job.cursor, job.message = step.cursor or {}, step.message
        job.result = {**job.result, **step.result}
        if step.cursor is None:
            break
    job.state, job.ended_at = Job.State.DONE, now
    job.save()
    return job


def start_reprice(
    *, organization_id: UUID, plan: Plan, title: str, author: User | None, now: dt.datetime
) -> Job:
    """The job that prices the plan's records again, under the rules in force."""
    return jobs.start(
        kind=REPRICE,
        title=title[:200],
        organization_id=organization_id,
        created_by_id=author.pk if author else None,
        total=calls_in(plan),
        params=plan.as_params(),
        now=now,
    )


Walk = Callable[[UUID, Scope, dt.date, Place | None, Pace], tuple[Tally, Place | None]]


def _walk(job: Job, plan: Plan, look: Walk) -> jobs.Step:
    """The next few seconds of work from the job's cursor. A chunk that wrote ends the step, and with it its locks."""
    at = job.cursor or {}
    number, day, after = at.get("project", 0), at.get("day"), at.get("after")
    tally = msgspec.convert(at.get("tally", {}), Tally, strict=False)
    place: Place | None = (dt.datetime.fromisoformat(after[0]), after[1]) if after else None
    read_before, end, days = tally.read, monotonic() + STEP_S, _days(plan.scope)
    while number < len(plan.projects):
        left = [one for one in days if day is None or one.isoformat() <= day]
        for one in left:
            found, place = look(
                plan.projects[number], plan.scope, one, place, Pace(seconds=end - monotonic())
            )
            tally += found
            day = one.isoformat() if place else (one - dt.timedelta(days=1)).isoformat()
            if found.written or place or monotonic() > end:
                cursor = {
                    "project": number,
                    "day": day,
                    "after": [place[0].isoformat(), place[1]] if place else None,
                    "tally": _plain(tally),
                }
                return jobs.Step(
                    tally.read - read_before, cursor, _message(tally, one), None, _result(tally)
                )
        number, day, place = number + 1, None, None
    return jobs.Step(tally.read - read_before, None, _message(tally, None), None, _result(tally))


def _days(scope: Scope) -> list[dt.date]:
    """The days of the range that have a partition, newest first. One query."""
    first, last = scope.start.date(), (scope.end - dt.timedelta(microseconds=1)).date()
    return sorted((d for d in partitions.existing_days(TABLE) if first <= d <= last), reverse=True)


def _plain(tally: Tally) -> dict[str, Any]:
    found = msgspec.structs.asdict(tally)
    return {k: plain_decimal(v) if isinstance(v, Decimal) else v for k, v in found.items()}


def _result(tally: Tally) -> dict[str, Any]:
    return {**_plain(tally), "change_usd": plain_decimal(tally.after_usd - tally.before_usd)}


def _message(tally: Tally, day: dt.date | None) -> str:
    change = tally.after_usd - tally.before_usd
    sign = "\N{MINUS SIGN}" if change < 0 else "+"
    where = f" Now at {day}." if day else ""
    return f"{tally.changed:,} of {tally.read:,} calls have a new price ({sign}${plain_decimal(abs(change))}).{where}"


def preview_step(job: Job, *, now: dt.datetime) -> jobs.Step:
    """Price under the rules as they would be; write nothing."""
    plan = Plan.of(job)
    rules = rules_with(rules_of(job.organization_id), plan.draft, without=plan.number)

    def look(
        project_id: UUID, scope: Scope, day: dt.date, after: Place | None, pace: Pace
    ) -> tuple[Tally, Place | None]:
        return price_day(
            project_id=project_id, scope=scope, rules=rules, day=day, after=after, pace=pace
        )

    return _walk(job, plan, look)


def reprice_step(job: Job, *, now: dt.datetime) -> jobs.Step:
    """Price and write the next chunk, with its progress in one transaction."""

    def look(
        project_id: UUID, scope: Scope, day: dt.date, after: Place | None, pace: Pace
    ) -> tuple[Tally, Place | None]:
        return _with_retry(
            project_id,
            lambda rules: reprice_day(
                project_id=project_id,
                scope=scope,
                rules=rules,
                day=day,
                after=after,
                now=now,
                pace=pace,
            ),
        )

    return _walk(job, Plan.of(job), look)


def _with_retry(
    project_id: UUID, work: Callable[[RuleSet], tuple[Tally, Place | None]]
) -> tuple[Tally, Place | None]:
    """Again when the rules changed meanwhile, or a deadlock chose this transaction."""
    for attempt in range(1, TRIES + 1):
        rules = rule_cache.load_rules(project_id)
        try:
            with transaction.atomic():
                return work(rules)
        except rule_cache.StaleRulesError:
            if attempt == TRIES:
                raise
        except OperationalError as error:
            passing = getattr(error.__cause__, "sqlstate", "") in ("40P01", "40001")
            if attempt == TRIES or not passing:
                raise
    raise AssertionError("unreachable")


def record_end(job: Job) -> None:
    """The audit trail says what a re-pricing changed, however it ended."""
    actor = User.objects.filter(pk=job.created_by_id).first() if job.created_by_id else None
    record_audit_event(
        organization_id=job.organization_id,
        actor=actor,
        action=f"prices.reprice.{job.state}",
        target=job.title,
        data={"job_id": str(job.pk), "calls_in_range": job.total, **job.result},
    )
    signals.repricing_ended.send(
        sender=Job, project_ids=Plan.of(job).projects, job_id=job.pk, now=job.ended_at
    )
