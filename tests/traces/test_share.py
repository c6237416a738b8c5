"""Public links: what they show, to whom, how long, and that nothing is told about the ones that do not work."""

import datetime as dt
import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEvent, Organization
from projects.models import Project
from tests.factories.feedback import CommentFactory, ScoreFactory, ShareLinkFactory
from tests.factories.projects import ApiKeyFactory, ProjectFactory, raw_key
from tests.factories.traces import SpanFactory, TraceFactory, payload_for
from traces.feedback.shares import find_share_link, hash_token
from traces.models import Comment, Score, ShareLink

pytestmark = pytest.mark.django_db
TOKEN = "x" * 43
HTMX = {"HX-Request": "true"}


@pytest.fixture
def shop(acme: Any) -> Project:
    project = ProjectFactory(organization=acme.organization, slug="shop")
    trace = TraceFactory(
        project=project, trace_id="t1", name="refund", user_id="mina-7", session_id="chat-7"
    )
    span = SpanFactory(
        trace=trace, span_id="root", name="agent", error_message="key sk-secret", status="error"
    )
    payload_for(span, input="the secret question", output="the secret answer")
    return project


def make(client: Client, **data: str) -> Any:
    address = reverse("traces:trace_shares", kwargs={"slug": "shop", "trace_id": "t1"})
    return client.post(address, data)


def test_the_address_is_shown_once_and_only_its_hash_is_kept(shop, acme, client_of):
    answer = make(client_of(acme.member), expires_in="1h")
    assert answer.status_code == 201
    token = answer.content.decode().split("/share/")[1].split("/")[0]
    link = ShareLink.objects.get(project=shop)
    assert (link.token_hash, link.with_payloads) == (hash_token(token), False)
    assert len(token) == 43
    left = link.expires_at - timezone.now()
    assert dt.timedelta(minutes=59) < left <= dt.timedelta(hours=1)
    again = client_of(acme.member).get("/projects/shop/traces/t1/shares/")
    assert token not in again.content.decode()
    event = AuditEvent.objects.get(action="trace.shared")
    assert (event.target, event.actor) == ("t1", acme.member.user)
    assert token not in str(event.data)
    assert Client().get(f"/share/{token}/").status_code == 200


def test_a_stranger_reads_without_what_was_said(shop):
    ShareLinkFactory(project=shop, token=TOKEN)
    answer = Client().get(f"/share/{TOKEN}/")
    page = answer.content.decode()
    assert (answer.status_code, "refund" in page, "agent" in page) == (200, True, True)
    for hidden in ("secret", "mina-7", "chat-7", "/projects/", "Delete", "deletion"):
        assert hidden not in page, hidden
    for tab in ("io", "cost", "attributes", "raw"):
        part = Client().get(f"/share/{TOKEN}/steps/root/?tab={tab}&full=1", headers=HTMX)
        assert (part.status_code, "secret" in part.content.decode()) == (200, False)
    for path in ("rows/", "changes/?after=0", "find/?q=secret", "find/?find=secret"):
        assert "secret question" not in Client().get(f"/share/{TOKEN}/{path}").content.decode()


def test_with_payloads_what_was_said_is_there(shop):
    ShareLinkFactory(project=shop, token=TOKEN, with_payloads=True)
    part = Client().get(f"/share/{TOKEN}/steps/root/", headers=HTMX).content.decode()
    assert "the secret question" in part
    assert "/projects/" not in part


def test_nothing_of_it_is_kept_or_indexed(shop):
    ShareLinkFactory(project=shop, token=TOKEN)
    for path in ("", "rows/", "steps/root/"):
        answer = Client().get(f"/share/{TOKEN}/{path}", headers=HTMX if path else {})
        assert answer["Cache-Control"] == "no-store, private"
        assert answer["Referrer-Policy"] == "no-referrer"
        assert "noindex" in answer["X-Robots-Tag"]
    ShareLinkFactory(project=shop, token="y" * 43, with_payloads=True)
    refused = Client().get(f"/share/{'y' * 43}/steps/root/payload/?side=x")
    assert refused.status_code == 400
    assert refused["Cache-Control"] == "no-store, private"
    assert refused["Referrer-Policy"] == "no-referrer"


def test_views_of_the_page_are_counted(shop):
    link = ShareLinkFactory(project=shop, token=TOKEN)
    for path in ("", "", "rows/"):
        Client().get(f"/share/{TOKEN}/{path}")
    link.refresh_from_db()
    assert link.view_count == 2
    assert link.last_viewed_at is not None


def test_links_that_do_not_work_look_alike(shop):
    now = timezone.now()
    ended = ShareLinkFactory(project=shop, expires_at=now - dt.timedelta(seconds=1), token="a" * 43)
    ShareLinkFactory(project=shop, revoked_at=now, token="b" * 43)
    ShareLinkFactory(project=shop, trace_id="deleted", token="c" * 43)
    pages = set()
    for token in ("a" * 43, "b" * 43, "c" * 43, "d" * 43, "short", "e" * 200):
        for path in ("", "rows/", "steps/root/", "changes/", "find/"):
            answer = Client().get(f"/share/{token}/{path}")
            assert answer.status_code == 404
            body = re.sub(r'"X-CSRFToken": "\w+"', "", answer.content.decode())
            pages.add((body, answer["Cache-Control"], answer["Referrer-Policy"]))
    assert len(pages) == 1
    ended.refresh_from_db()
    assert ended.view_count == 0


def test_forbidding_sharing_closes_the_links_there_are(shop, acme, client_of):
    ShareLinkFactory(project=shop, token=TOKEN)
    Organization.objects.filter(pk=acme.organization.pk).update(allows_sharing=False)
    assert Client().get(f"/share/{TOKEN}/").status_code == 404
    assert make(client_of(acme.owner)).status_code == 403
    assert ShareLink.objects.count() == 1


def test_a_project_being_deleted_is_not_shared(shop):
    ShareLinkFactory(project=shop, token=TOKEN)
    Project.objects.filter(pk=shop.pk).update(status="deleting")
    assert find_share_link(TOKEN, now=timezone.now()) is None


def test_a_link_without_end_needs_an_admin_denied(shop, acme, client_of):
    assert make(client_of(acme.member), expires_in="never").status_code == 403
    assert not ShareLink.objects.exists()
    assert make(client_of(acme.admin), expires_in="never").status_code == 201
    assert ShareLink.objects.get(project=shop).expires_at is None


def test_unknown_expiry_names_the_choices(shop, acme, client_of):
    answer = make(client_of(acme.member), expires_in="1y")
    assert answer.status_code == 400
    assert "1h, 1d, 7d, 30d, never" in answer.content.decode()


def test_viewers_and_other_tenants_share_and_revoke_nothing_denied(shop, acme, globex, client_of):
    link = ShareLinkFactory(project=shop)
    revoke = reverse("traces:share_revoke", kwargs={"slug": "shop", "link_id": link.pk})
    for who, status in ((acme.viewer, 403), (globex.owner, 404)):
        assert make(client_of(who)).status_code == status
        assert client_of(who).post(revoke).status_code == status
    assert (ShareLink.objects.count(), ShareLink.objects.get().revoked_at) == (1, None)


def test_revoking_ends_it_at_once(shop, acme, client_of):
    link = ShareLinkFactory(project=shop, token=TOKEN)
    revoke = reverse("traces:share_revoke", kwargs={"slug": "shop", "link_id": link.pk})
    client_of(acme.member).post(revoke)
    assert Client().get(f"/share/{TOKEN}/").status_code == 404
    assert AuditEvent.objects.filter(action="trace.share_revoked").count() == 1
    client_of(acme.member).post(revoke)
    assert AuditEvent.objects.filter(action="trace.share_revoked").count() == 1


def test_shares_by_api(shop, client):
    ApiKeyFactory(project=shop, raw=raw_key(1), scopes=["admin"])
    headers = {"Authorization": f"Bearer {raw_key(1)}"}
    base = "/api/v1/projects/shop/shares"
    made = client.post(base, {"trace_id": "t1"}, content_type="application/json", headers=headers)
    assert made.status_code == 201
    assert Client().get("/share/" + made.json()["url"].split("/share/")[1]).status_code == 200
    listed = client.get(base, headers=headers).json()["results"]
    assert [("url" in one, one["views"]) for one in listed] == [(False, 1)]
    assert client.delete(f"{base}/{made.json()['id']}", headers=headers).status_code == 204
    assert ShareLink.objects.get(project=shop).revoked_at is not None


def test_settings_list_pages(shop, acme, client_of, django_assert_max_num_queries):
    for _ in range(51):
        ShareLinkFactory(project=shop)
    client = client_of(acme.member)
    address = reverse("traces:share_list", kwargs={"slug": "shop"})
    with django_assert_max_num_queries(8):
        first = client.get(address)
    older = first.context["older"]
    second = client.get(f"{address}?before={older}")
    assert (len(first.context["rows"]), len(second.context["rows"])) == (50, 1)
    assert client.get(f"{address}?before=x").status_code == 400


def test_pictures_and_whole_texts_only_where_what_was_said_is_shared(shop):
    ShareLinkFactory(project=shop, token=TOKEN)
    ShareLinkFactory(project=shop, token="y" * 43, with_payloads=True)
    path = "steps/root/payload/?side=input"
    assert Client().get(f"/share/{TOKEN}/{path}").status_code == 404
    found = Client().get(f"/share/{'y' * 43}/{path}")
    assert b"".join(found) == b"the secret question"  # type: ignore[call-overload]
    assert found["Cache-Control"] == "no-store, private"
    assert Client().get(f"/share/{TOKEN}/steps/root/media/0/").status_code == 404
    assert Client().get(f"/share/{TOKEN}/models/").status_code == 200


def test_a_deleted_trace_takes_links_scores_and_comments_along(shop, acme, client_of):
    other = ProjectFactory()
    for project in (shop, other):
        ShareLinkFactory(project=project)
        ScoreFactory(project=project)
        CommentFactory(project=project)
    client_of(acme.member).post("/projects/shop/traces/t1/deletion/")
    for model in (ShareLink, Score, Comment):
        assert list(model.objects.values_list("project", flat=True)) == [other.pk]


def test_the_organisations_setting_forbids_and_allows(shop, acme, client_of):
    ShareLinkFactory(project=shop, token=TOKEN)
    address, client = "/organizations/acme/settings/", client_of(acme.admin)
    client.post(address, {"name": "Acme"})
    assert Client().get(f"/share/{TOKEN}/").status_code == 404
    client.post(address, {"name": "Acme", "allows_sharing": "on"})
    assert Client().get(f"/share/{TOKEN}/").status_code == 200
    events = AuditEvent.objects.filter(action="organization.sharing_changed").order_by("id")
    assert [event.data for event in events] == [{"allowed": False}, {"allowed": True}]
