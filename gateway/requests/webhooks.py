"""Where a project's jobs may tell that they ended: hosts a call may name, the default address, the signing secret.

Addresses often hold a token, so they are sealed as the secret is; what people see is the host and the last characters.
"""

import datetime as dt
import json
import re
from dataclasses import dataclass
from urllib.parse import urlsplit
from uuid import UUID

from django.db import transaction

from accounts.models import Organization
from accounts.services import record_audit_event
from core import crypto, webhooks
from core.errors import DomainError, NotFoundError
from core.posting import Poster
from gateway.models import JobWebhook
from gateway.routing.services import By
from projects.models import Project

HEADER = "x-llmlab-webhook"
NONE = "none"
MAX_HOSTS, MAX_URL = 50, 2_000
_HOST = re.compile(r"(\*\.)?[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
Secret = dict[str, str]


@dataclass(frozen=True)
class Wanted:
    """Whom a job tells: an address of its own, or (url empty) the project's when it is told."""

    url: str
    place: str


def context_of(kind: str, project_id: UUID, job_id: UUID) -> bytes:
    """What ties a sealed call, answer or address to its row."""
    return f"llmlab.gateway.job.{kind}:{project_id.hex}:{job_id.hex}".encode()


def _context(project_id: UUID) -> bytes:
    return f"llmlab.gateway.job_webhook:{project_id.hex}".encode()


def webhook_of(project_id: UUID) -> JobWebhook | None:
    """One query."""
    return JobWebhook.objects.select_related("updated_by").filter(pk=project_id).first()


def open_webhook(row: JobWebhook, cipher: crypto.Cipher) -> Secret:
    """The default address and the secrets. Raises core.crypto.DecryptionError."""
    found: Secret = json.loads(crypto.unseal(cipher, row.sealed, _context(row.pk)))
    return found


def place_of(url: str) -> str:
    """What people recognise an address by: its host, and its end where that gives nothing away."""
    end = f"…{url[-4:]}" if len(url) >= 30 else "…"
    return f"{(urlsplit(url).hostname or '')[:50]} {end}"


def is_allowed(host: str, hosts: list[str]) -> bool:
    """Whether a host is one of these, or below one that begins with `*.`."""
    host = host.lower()
    return any(host == one or (one[:2] == "*." and host.endswith(one[1:])) for one in hosts)


def wanted(project_id: UUID, asked: str) -> Wanted | None:
    """Whom a new job is to tell, as its call asks; None: nobody. One query.

    Raises DomainError 400 for an address that the project does not allow."""
    if asked.lower() == NONE:
        return None
    row = webhook_of(project_id)
    if not asked:
        return Wanted("", row.place) if row is not None and row.place else None
    if row is None:
        text = "The project has no webhook: an admin sets it up in the gateway's settings."
        raise DomainError(text, code="webhook_not_allowed", fields=[HEADER])
    return Wanted(checked(asked, row.hosts, field=HEADER), place_of(asked))


def checked(url: str, hosts: list[str] | None, *, field: str) -> str:
    """An address that may be called; with `hosts` it must be of one of them. Raises DomainError."""
    if len(url) > MAX_URL:
        raise DomainError(f"{field} has at most {MAX_URL} characters.", fields=[field])
    try:
        host = (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        raise DomainError(f"{field} is not a URL.", fields=[field]) from None
    # First, so that nobody learns from names that are not theirs.
    if hosts is not None and not is_allowed(host, hosts):
        text = f"{host[:80] or 'It'} is not one of the hosts that the project's settings allow."
        raise DomainError(text, code="webhook_not_allowed", fields=[field])
    Poster().check(url, field)
    return url


def clean_hosts(given: list[str]) -> list[str]:
    """In lower case, each once. Raises DomainError naming the first that is none."""
    hosts = list(dict.fromkeys(one.strip().lower().rstrip(".") for one in given if one.strip()))
    for host in hosts:
        if (
            len(host) > 253
            or not _HOST.fullmatch(host)
            or (host.count("*") and "." not in host[2:])
        ):
            text = f"{host[:60]!r} is no host: write hooks.example.com or *.example.com."
            raise DomainError(text, fields=["hosts"])
    if len(hosts) > MAX_HOSTS:
        raise DomainError(f"There are at most {MAX_HOSTS} hosts.", fields=["hosts"])
    return hosts


@transaction.atomic
def save_webhook(
    *, project: Project, hosts: list[str], url: str | None, by: By, now: dt.datetime
) -> tuple[JobWebhook, str]:
    """Say whom jobs may tell. `url` None: the default address stays; empty: there is none. The second value is the
    signing secret when it was made now: shown once. Raises DomainError."""
    hosts = clean_hosts(hosts)
    if url:
        checked(url, None, field="url")
    _lock(project)
    row = JobWebhook.objects.filter(pk=project.pk).first() or JobWebhook(project=project)
    cipher = crypto.data_cipher(project.organization.data_key)
    is_new = row._state.adding
    secret = {webhooks.SIGNING: webhooks.new_signing_secret()} if is_new else open_webhook(row, cipher)  # fmt: skip
    changed = []
    if url is not None and url != secret.get("url", ""):
        changed.append("url")
        secret["url"], row.place = url, place_of(url) if url else ""
    if hosts != row.hosts:
        changed.append("hosts")
    if not is_new and not changed:
        return row, ""
    row.hosts, row.updated_by = hosts, by.user
    _seal(row, cipher, secret)
    _audit(project, by, "created" if is_new else "changed", hosts=hosts, changed=changed)
    return row, secret[webhooks.SIGNING] if is_new else ""


@transaction.atomic
def rotate_secret(*, project: Project, by: By, now: dt.datetime) -> str:
    """A new signing secret, shown once; the one before signs too for 24 hours. Raises NotFoundError."""
    row = _locked(project)
    cipher = crypto.data_cipher(project.organization.data_key)
    secret = webhooks.rotated(open_webhook(row, cipher), now)
    row.updated_by = by.user
    _seal(row, cipher, secret)
    _audit(project, by, "secret_rotated")
    return secret[webhooks.SIGNING]


@transaction.atomic
def remove_webhook(*, project: Project, by: By) -> None:
    """Nobody is told any more; what waits is given up. Raises NotFoundError."""
    _locked(project).delete()
    _audit(project, by, "deleted")


def seal_again(organization: Organization) -> None:
    """With the organisation's newest data key, before an older one goes (projects.resealing)."""
    cipher = crypto.data_cipher(organization.data_key)
    rows = JobWebhook.objects.select_for_update().filter(project__organization=organization)
    for row in rows:
        _seal(row, cipher, open_webhook(row, cipher))


def _seal(row: JobWebhook, cipher: crypto.Cipher, secret: Secret) -> None:
    row.sealed = crypto.seal(cipher, json.dumps(secret).encode(), _context(row.project_id))
    row.save()


def _lock(project: Project) -> None:
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)


def _locked(project: Project) -> JobWebhook:
    _lock(project)
    row = JobWebhook.objects.filter(pk=project.pk).first()
    if row is None:
        raise NotFoundError("The project has no webhook for its jobs.")
    return row


def _audit(project: Project, by: By, verb: str, **data: object) -> None:
    record_audit_event(
        organization_id=project.organization_id,
        actor=by.user,
        actor_label=by.label,
        action=f"gateway.job_webhook.{verb}",
        target=project.name,
        data={"project": str(project.pk), **data},
    )
