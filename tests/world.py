"""One small world every route can be asked about: an organisation with all roles, a stranger, keys of every scope."""

import datetime as dt
import gzip
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.test import Client
from django.utils import timezone

from accounts.models import Organization, Role, User
from core import jobs
from core.models import Job
from costs.rule_drafts import read_draft
from costs.services.price_changes import plan_of, preview_change
from costs.services.price_rules import add_rule
from projects.models import ApiKey, Project
from tests.factories.accounts import (
    InvitationFactory,
    MembershipFactory,
    OrganizationFactory,
    UserFactory,
)
from tests.factories.feedback import (
    CollectionItemFactory,
    CommentFactory,
    ScoreDefinitionFactory,
    ScoreFactory,
    ShareLinkFactory,
)
from tests.factories.projects import ApiKeyFactory, ProjectFactory
from tests.traces.spans import context_for, llm, span
from traces.ingest.write import write_spans
from traces.models import ErrorGroup, SavedView, SessionRow, UserRow

RAW = {
    "key_ingest": "llmlab_sk_world_ingest_0000000000000000000",
    "key_read": "llmlab_sk_world_read_000000000000000000000",
    "key_admin": "llmlab_sk_world_admin_00000000000000000000",
    "key_stranger": "llmlab_sk_world_stranger_00000000000000000",
}
SCOPES = {
    "key_ingest": ["ingest"],
    "key_read": ["read"],
    "key_admin": ["ingest", "read", "gateway", "admin"],
    "key_stranger": ["ingest", "read", "gateway", "admin"],
}
PEOPLE = ("viewer", "member", "admin", "owner")
PIXEL = {
    "type": "image_url",
    "image_url": {
        "url": "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9Q"
        "DwADhgGAWjR9awAAAABJRU5ErkJggg=="
    },
}


@dataclass
class World:
    """What exists, and a client for each actor."""

    organization: Organization
    project: Project
    people: dict[str, User]
    keys: dict[str, ApiKey]
    job: Job
    names: dict[str, Any] = field(default_factory=dict)
    sessions: dict[str, str] = field(default_factory=dict)

    def client(self, actor: str) -> Client:
        """A fresh client that is `actor`; keys send their header with every request.

        A person signs in once; what would end the session is rolled back.
        """
        if actor in RAW:
            return Client(headers={"Authorization": f"Bearer {RAW[actor]}"})
        client, cookie = Client(), settings.SESSION_COOKIE_NAME
        if actor == "anonymous":
            return client
        if actor not in self.sessions:
            client.force_login(self.people[actor])
            self.sessions[actor] = client.cookies[cookie].value
        client.cookies[cookie] = self.sessions[actor]
        return client


def make_world() -> World:
    """Organisation A with project, trace, keys, invitation, job; organisation B with its own; an operator."""
    organization, foreign = OrganizationFactory(), OrganizationFactory()
    project = ProjectFactory(organization=organization, slug="checkout")
    other = ProjectFactory(organization=foreign, slug="foreign")
    people = {role: UserFactory(email=f"{role}@a.example") for role in PEOPLE}
    for role, user in people.items():
        MembershipFactory(organization=organization, user=user, role=Role(role))
    people["stranger"] = UserFactory(email="owner@b.example")
    MembershipFactory(organization=foreign, user=people["stranger"], role=Role.OWNER)
    people["operator"] = UserFactory(email="operator@example.com", operator=True)
    keys = {
        name: ApiKeyFactory(
            project=other if name == "key_stranger" else project,
            raw=RAW[name],
            scopes=SCOPES[name],
            last_used_at=timezone.now() + dt.timedelta(days=1),  # nobody notes its use
        )
        for name in RAW
    }
    now = timezone.now()
    started = now - dt.timedelta(minutes=5)
    spans = [
        span("root", kind="agent", name="refund-agent", started_at=started),
        llm(
            "call",
            parent_span_id="root",
            started_at=started,
            input=[{"role": "user", "content": [{"type": "text", "text": "Hi"}, PIXEL]}],
        ),
    ]
    write_spans(context_for(project), spans, now=now)
    seen = {"project": project, "first_at": now, "last_at": now, "computed_at": now}
    SessionRow.objects.create(session_id="s1", **seen)
    UserRow.objects.create(user_id="u1", **seen)
    ErrorGroup.objects.create(fingerprint="abc123", **seen)
    colleague = MembershipFactory(organization=organization, role=Role.MEMBER)
    job = jobs.create_job(
        kind="projects.purge",
        title="Delete",
        organization_id=organization.pk,
        project_id=project.pk,
    )
    view = SavedView.objects.create(
        project=project, author=people["member"], name="Shared", query="range=7d", is_shared=True
    )
    export = jobs.create_job(
        kind="projects.export",
        title="Export",
        organization_id=organization.pk,
        project_id=project.pk,
        params={"kind": "traces", "format": "csv"},
    )
    stored = default_storage.save(
        f"exports/{project.pk}/traces.csv.gz", ContentFile(gzip.compress(b"x"))
    )
    Job.objects.filter(pk=export.pk).update(state=Job.State.DONE, result={"file": stored})
    rule = add_rule(
        organization_id=organization.pk,
        draft=read_draft({"kind": "discount", "model": "*", "percent_off": "10"}),
        author=people["owner"],
        now=now,
    )
    preview = preview_change(
        organization_id=organization.pk,
        plan=plan_of(organization_id=organization.pk, action="remove", number=rule.number),
        author=people["owner"],
        now=now,
    )
    world = World(organization, project, people, keys, job)
    invitation = InvitationFactory(organization=organization)
    comment = CommentFactory(project=project, author=people["member"])
    item = CollectionItemFactory(collection__project=project)
    world.names = {
        "organization": organization.slug,
        "project": project.slug,
        "trace_id": "t1",
        "span_id": "call",
        "key_id": keys["key_read"].pk,
        "membership_id": colleague.pk,
        "invitation_id": invitation.pk,
        "job_id": job.pk,
        "export_id": export.pk,
        "comment_id": comment.pk,
        "score_id": ScoreFactory(project=project, author=people["member"]).score_id,
        "definition_id": ScoreDefinitionFactory(project=project).pk,
        "link_id": ShareLinkFactory(project=project).pk,
        "collection_id": item.collection_id,
        "item_id": item.pk,
        "view_id": view.pk,
        "rule_number": rule.number,
        "preview_id": preview.pk,
    }
    for actor in people:
        world.client(actor)
    from tests.matrix import areas  # they import this module

    for area in areas():
        if extend := getattr(area, "extend", None):
            extend(world)
    return world
