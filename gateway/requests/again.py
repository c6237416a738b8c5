"""Making requests again: each a new job that names the old one, decided, checked and paid for as if it came now."""

import datetime as dt
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import msgspec
from django.db import transaction
from django.db.models import Q

from accounts.services import record_audit_event
from core import crypto
from core.errors import ConflictError, DomainError
from core.ids import uuid7
from gateway.dialects.facts import RequestFacts, facts_of
from gateway.guards.checks import BLOCKED_CODE, check_input
from gateway.guards.schemas import may_ask_again
from gateway.models import ENDED, AsyncJob
from gateway.quotas import deciding
from gateway.quotas.bounds import bounds_of, output_of
from gateway.quotas.granting import Asked, Known, grant
from gateway.quotas.lines import is_bounding, lines_of
from gateway.quotas.reserving import Refused
from gateway.quotas.reserving import again as repeated
from gateway.requests import jobs, sweeping
from gateway.requests.webhooks import Wanted, context_of
from gateway.routing.decide import NoRouteError, decide, rules_of
from gateway.routing.health import read_health
from gateway.routing.matching import holds
from gateway.routing.services import By
from gateway.snapshot import Snapshot, snapshot_of
from gateway.structs import Call
from projects.models import ApiKey, Project

MOST = 50
FLAG = "retry"
OPEN_ROW = "It has not ended yet: cancel it first, or wait for it."
GONE = (
    "Its body is not kept, so it cannot be made again: only what is answered later is, for a time."
)


@dataclass(frozen=True)
class Again:
    """What became of several: those made again, and why others were not."""

    made: tuple[AsyncJob, ...]
    refused: tuple[str, ...]


def retry_several(
    *, project: Project, request_ids: Sequence[UUID], by: By, now: dt.datetime
) -> Again:
    """Make each again that can be; one's refusal is not the others'."""
    made, refused = [], []
    for one in list(dict.fromkeys(request_ids))[:MOST]:
        try:
            made.append(retry(project=project, request_id=one, by=by, now=now))
        except DomainError as error:
            refused.append(f"{one.hex[-6:]}: {error.detail}")
    return Again(tuple(made), tuple(refused))


def retry(*, project: Project, request_id: UUID, by: By, now: dt.datetime) -> AsyncJob:
    """A new job with the body, key, priority and webhook of one that ended, by today's routes, checks and limits.

    Raises ConflictError when it cannot be made again, DomainError as the door refuses."""
    if project.status == Project.Status.ARCHIVED:
        raise ConflictError("This project is archived. It makes no calls any more.")
    old = AsyncJob.objects.filter(project=project, id=request_id).defer("sealed_answer").first()
    if old is None:
        raise ConflictError(GONE)
    if old.state not in ENDED:
        raise ConflictError(OPEN_ROW)
    cipher = crypto.data_cipher(project.organization.data_key)
    before = jobs.call_of(old, cipher)
    keys = ApiKey.objects.filter(project=project, pk=UUID(before.caller.key_id), revoked_at=None)
    if not keys.filter(Q(expires_at=None) | Q(expires_at__gt=now)).exists():
        raise ConflictError("The API key it came with is revoked or has expired.")
    snapshot = snapshot_of(project.organization_id, project.pk, now=time.monotonic(), fresh_s=0)
    call = _like(before, now)
    facts = _decided(call, snapshot, now)
    job = _stored(call, facts, snapshot, old, cipher, now)
    transaction.on_commit(lambda: sweeping.push_now(call, now=now), robust=True)
    record_audit_event(
        organization_id=project.organization_id,
        actor=by.user,
        actor_label=by.label,
        action="gateway.request.retried",
        target=call.model[:120],
        data={"project": str(project.pk), "request": str(old.id), "new": str(job.id)},
    )
    return job


def _like(before: Call, now: dt.datetime) -> Call:
    """The same call, come now. Kept answers are left alone: somebody wants another one."""
    at = now.timestamp()
    flags = tuple(one for one in before.flags if one.startswith("omit_"))
    return msgspec.structs.replace(
        before, id=uuid7().hex, accepted_at=at, deadline_at=at + before.deadline_at - before.accepted_at,
        queued_at=0.0, claimed_at=0.0, cache_s=0.0, cache=None, has_reservation=False, is_bounded=False,
        flags=(*flags, FLAG),
    )  # fmt: skip


def _decided(call: Call, snapshot: Snapshot, now: dt.datetime) -> RequestFacts:
    """Route and checks. Raises DomainError."""
    facts = facts_of(call.dialect, call.body)
    try:
        call.decision = decide(
            snapshot,
            facts,
            call.caller,
            dialect=call.dialect,
            health=read_health(now=now.timestamp()),
            prices=snapshot.prices,
            at=now,
            draw=random.random(),  # noqa: S311 - spreads load
            quality=snapshot.quality,
        )
    except NoRouteError as error:
        raise DomainError(error.detail, code=error.code, status=error.status) from None
    call.rules = rules_of(snapshot, call.decision)
    call.compact = call.rules.compact or snapshot.rules.compact
    guards = snapshot.rules.guards + call.rules.guards
    call.guards = tuple(one for one in guards if holds(one.when, facts, call.caller, now))
    if not call.guards:
        return facts
    verdict = check_input(call.guards, facts, call.caller)
    call.flags = (*call.flags, *verdict.flags)
    if verdict.blocked is not None:
        raise DomainError(verdict.blocked.message, code=BLOCKED_CODE, status=400)
    if verdict.document is not facts.document:
        call.body = msgspec.json.encode(verdict.document)
        facts = facts_of(call.dialect, call.body)
    return facts


@transaction.atomic
def _stored(
    call: Call,
    facts: RequestFacts,
    snapshot: Snapshot,
    old: AsyncJob,
    cipher: crypto.Cipher,
    now: dt.datetime,
) -> AsyncJob:
    """Set aside and stored, or neither. Raises DomainError."""
    _reserve(call, facts, snapshot, now)
    webhook = None
    if old.webhook_state:
        url = b""
        if old.sealed_webhook is not None:
            context = context_of("webhook", old.project_id, old.id)
            url = crypto.unseal(cipher, old.sealed_webhook, context)
        webhook = Wanted(url.decode(), old.webhook_url)
    return jobs.store_job(
        call=call, cipher=cipher, idempotency_key="", fingerprint="", rules=snapshot.rules, now=now,
        webhook=webhook, retry_of=old.id,
    )  # fmt: skip


def _reserve(call: Call, facts: RequestFacts, snapshot: Snapshot, now: dt.datetime) -> None:
    """As the door does. Raises DomainError 402 or 429."""
    if not snapshot.limits and not snapshot.budgets:
        call.max_input_tokens = facts.input_tokens
        call.max_output_tokens = max(output_of(facts, one.model) for one in call.decision.targets)
        return
    is_hedged = call.rules.hedge_after_s is not None
    bounds = bounds_of(
        facts,
        call.decision,
        body=call.body,
        at=now,
        prices=snapshot.prices,
        is_hedged=is_hedged,
        may_ask_again=may_ask_again(
            call.guards, call.dialect, facts.document, is_stream=call.is_stream
        ),
    )
    call.max_input_tokens, call.max_output_tokens = bounds.input_tokens, bounds.output_tokens
    lines = lines_of(call, snapshot, bounds, now)
    call.is_bounded = any(map(is_bounding, lines))
    if not lines:
        return
    money = next((line for line in lines if line.is_money and line.is_hard), None)
    if bounds.usd is None and money is not None:
        outcome: deciding.Granted | Refused = deciding.unpriced(money, bounds.unpriced)
    else:
        asked = [Asked(call, lines, now)]
        # Of no process: it is given back when its time runs out.
        outcome = repeated(lambda: grant(asked, owner="", known=Known(), now=now))[0]
    if isinstance(outcome, Refused):
        raise DomainError(outcome.message, code=outcome.code, status=outcome.status)
    call.has_reservation, call.flags = True, (*call.flags, *outcome.flags)
