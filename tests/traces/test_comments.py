"""Comments: writing, mentioning, changing, resolving; what a comment can and cannot be as HTML."""

from typing import Any

import pytest
from django.core import mail
from django.urls import reverse
from django.utils import timezone

from core import outbox
from core.models import OutboxItem
from projects.models import Project
from tests.factories.accounts import MembershipFactory, UserFactory
from tests.factories.feedback import CommentFactory
from tests.factories.projects import ApiKeyFactory, ProjectFactory, raw_key
from tests.factories.traces import SpanFactory, TraceFactory
from traces.comment_text import handles_of, mentioned, render_comment
from traces.models import Comment, CommentMention

HTMX = {"HX-Request": "true"}


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("<b>x</b> & y", "&lt;b&gt;x&lt;/b&gt; &amp; y"),
        ("javascript:alert(1)", "javascript:alert(1)"),
        ("[x](javascript:alert(1))", "[x](javascript:alert(1))"),
        ("run `a < b`", 'run <code class="mono">a &lt; b</code>'),
        ("hi @mina!", 'hi <b class="mention">@mina</b>!'),
        ("hi @nobody", "hi @nobody"),
        ("mail a@mina.example", "mail a@mina.example"),
    ],
)
def test_a_comment_is_text(text: str, html: str) -> None:
    assert render_comment(text, {"mina"}) == html


@pytest.mark.parametrize(
    "text", ["see https://x.example/a?b=1&c=2.", "[see](https://x.example/a?b=1&c=2)"]
)
def test_only_web_addresses_become_links(text: str) -> None:
    html = render_comment(text)
    assert 'href="https://x.example/a?b=1&amp;c=2"' in html
    assert 'rel="nofollow noopener noreferrer"' in html


def test_a_link_cannot_break_out() -> None:
    html = render_comment('https://x.example/"onmouseover="alert(1)')
    assert "<a " in html
    assert 'onmouseover="' not in html


class _Person:
    def __init__(self, email: str) -> None:
        self.email = email


def test_two_with_one_name_are_told_apart_by_their_address() -> None:
    people = [_Person("mina@a.example"), _Person("mina@b.example"), _Person("Tom@a.example")]
    handles = handles_of(people)
    assert sorted(handles) == ["mina@a.example", "mina@b.example", "tom"]
    text = "@tom, @mina@b.example. @mina? @TOM"
    assert mentioned(text, handles) == [people[2], people[1]]


@pytest.fixture
def shop(acme: Any) -> Project:
    project = ProjectFactory(organization=acme.organization, slug="shop")
    trace = TraceFactory(project=project, trace_id="t1")
    SpanFactory(trace=trace, span_id="s1")
    return project


def url(name: str, **more: Any) -> str:
    return reverse(f"traces:{name}", kwargs={"slug": "shop", "trace_id": "t1", **more})


pytestmark = pytest.mark.django_db


def test_a_mention_is_mailed_once(shop, acme, client_of, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks():
        answer = client_of(acme.member).post(
            url("comment_create"), {"text": "@admin look, @admin; @member too", "step": "s1"}
        )
    comment = Comment.objects.get(project=shop)
    assert answer["Location"] == url("trace_feedback") + f"?step=s1#comment-{comment.pk}"
    assert list(comment.mentions.values_list("user__email", flat=True)) == ["admin@acme.example"]
    item = OutboxItem.objects.get(topic="traces.mention_mail")
    assert outbox.run(item.pk, now=timezone.now())
    [message] = mail.outbox
    assert message.to == ["admin@acme.example"]
    assert (
        message.subject == "member@acme.example mentioned you in shop"
        or shop.name in message.subject
    )
    assert f"step=s1#comment-{comment.pk}" in message.body
    client_of(acme.member).post(
        url("comment_edit", comment_id=comment.pk), {"text": "@admin @owner"}
    )
    assert CommentMention.objects.filter(comment=comment).count() == 2
    assert OutboxItem.objects.filter(topic="traces.mention_mail").count() == 2


def test_whoever_left_is_not_mailed(shop, acme, client_of):
    client_of(acme.member).post(url("comment_create"), {"text": "@admin"})
    acme.admin.delete()
    item = OutboxItem.objects.get(topic="traces.mention_mail")
    assert outbox.run(item.pk, now=timezone.now())
    assert mail.outbox == []


def test_htmx_gets_the_comments_back(shop, acme, client_of):
    answer = client_of(acme.member).post(url("comment_create"), {"text": "<i>hm</i>"}, headers=HTMX)
    assert "&lt;i&gt;hm&lt;/i&gt;" in answer.content.decode()
    assert 'id="comments-trace"' in answer.content.decode()


@pytest.mark.parametrize("text", ["", "   ", "x" * 10_001])
def test_a_text_out_of_bounds_is_refused(shop, acme, client_of, text):
    answer = client_of(acme.member).post(url("comment_create"), {"text": text}, headers=HTMX)
    assert (answer.status_code, answer.json()["fields"]) == (400, ["text"])
    assert not Comment.objects.exists()


@pytest.mark.parametrize(("trace_id", "step"), [("t2", ""), ("t1", "s2")])
def test_what_is_not_there_takes_no_comment(shop, acme, client_of, trace_id, step):
    address = reverse("traces:comment_create", kwargs={"slug": "shop", "trace_id": trace_id})
    answer = client_of(acme.member).post(address, {"text": "x", "step": step})
    assert (answer.status_code, Comment.objects.count()) == (404, 0)


def test_viewers_and_strangers_may_not_denied(shop, acme, globex, client_of):
    comment = CommentFactory(project=shop, author=acme.viewer.user)
    for who, status in ((acme.viewer, 403), (globex.owner, 404)):
        client = client_of(who)
        for name, more in (
            ("comment_create", {}),
            ("comment_edit", {"comment_id": comment.pk}),
            ("comment_delete", {"comment_id": comment.pk}),
            ("comment_resolve", {"comment_id": comment.pk}),
        ):
            answer = client.post(url(name, **more), {"text": "new", "resolved": "1"})
            assert answer.status_code == status, name
    found = Comment.objects.get(project=shop)
    assert (found.text, found.resolved_at) == ("Looks wrong.", None)


def test_others_comments_are_changed_by_nobody_and_deleted_by_admins(shop, acme, client_of):
    comment = CommentFactory(project=shop, author=acme.owner.user)
    edit, delete = (url(f"comment_{verb}", comment_id=comment.pk) for verb in ("edit", "delete"))
    assert client_of(acme.admin).post(edit, {"text": "mine"}).status_code == 403
    assert client_of(acme.member).post(delete).status_code == 403
    assert Comment.objects.get(project=shop).text == "Looks wrong."
    assert client_of(acme.admin).post(delete).status_code == 302
    assert not Comment.objects.exists()


def test_resolving_says_who_and_can_be_taken_back(shop, acme, client_of):
    comment = CommentFactory(project=shop)
    address = url("comment_resolve", comment_id=comment.pk)
    client_of(acme.member).post(address, {"resolved": "1"})
    assert Comment.objects.get(project=shop).resolved_by == acme.member.user
    client_of(acme.member).post(address, {"resolved": "0"})
    assert Comment.objects.get(project=shop).resolved_at is None


def test_an_open_page_asks_whether_there_is_more(shop, acme, client_of):
    client = client_of(acme.viewer)
    address = url("comments_part")
    assert client.get(f"{address}?known=0", headers=HTMX).status_code == 204
    CommentFactory(project=shop)
    assert "1 new comment<" in client.get(f"{address}?known=0", headers=HTMX).content.decode()


def test_another_projects_comment_is_not_there_denied(shop, acme, client_of):
    foreign = CommentFactory(trace_id="t1")
    address = url("comment_delete", comment_id=foreign.pk)
    assert client_of(acme.owner).post(address).status_code == 404
    assert Comment.objects.filter(pk=foreign.pk).exists()


def test_comments_by_api(shop, acme, client):
    ApiKeyFactory(project=shop, raw=raw_key(1), scopes=["ingest", "read"], name="bot")
    headers = {"Authorization": f"Bearer {raw_key(1)}"}
    base = "/api/v1/projects/shop"
    made = client.post(
        f"{base}/traces/t1/comments", {"text": "by a bot", "span_id": "s1"},
        content_type="application/json", headers=headers,
    )  # fmt: skip
    assert (made.status_code, made.json()["span_id"]) == (201, "s1")
    listed = client.get(f"{base}/traces/t1/comments", headers=headers).json()["results"]
    assert [one["text"] for one in listed] == ["by a bot"]
    path = f"{base}/comments/{made.json()['id']}"
    assert client.delete(path, headers=headers).status_code == 403
    assert Comment.objects.count() == 1


def test_parts_take_a_fixed_number_of_queries(shop, acme, client_of, django_assert_max_num_queries):
    for _ in range(15):
        CommentFactory(project=shop)
    client = client_of(acme.viewer)
    with django_assert_max_num_queries(8):
        assert client.get(url("comments_part"), headers=HTMX).status_code == 200


def test_at_most_two_hundred_members_are_offered_but_all_can_be_named(shop, acme, client_of):
    MembershipFactory.create_batch(205, organization=acme.organization)
    last = MembershipFactory(
        organization=acme.organization, user=UserFactory(email="zz-last@acme.example")
    )
    answer = client_of(acme.member).post(url("comment_create"), {"text": "see @zz-last"})
    assert answer.status_code == 302
    page = client_of(acme.member).get(url("trace_feedback")).content.decode()
    assert page.count("data-handle=") == 200
    assert '<b class="mention">@zz-last</b>' in page
    assert CommentMention.objects.get().user == last.user
