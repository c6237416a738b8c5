"""What people did in the demo project: through the services people use, about runs that are there."""

import datetime as dt
import json

import pytest
from django.utils import timezone

from examples.demo.calendar import run
from examples.demo.judgements import scores_of
from examples.demo.story import trace_item
from projects.demo import ensure_demo
from traces.demo import define_demo_scores, furnish_demo
from traces.models import (
    Collection,
    CollectionItem,
    Comment,
    CommentMention,
    SavedView,
    Score,
    ScoreDefinition,
    Trace,
)

pytestmark = pytest.mark.django_db


def send(client, demo, stories):
    headers = {"authorization": f"Bearer {demo.api_key}"}
    where = f"/api/v1/projects/{demo.project.slug}"
    scores = [score for story in stories for score in scores_of(story)]
    for path, body, known in (
        ("traces", {"traces": [trace_item(story) for story in stories]}, "stored"),
        ("scores", {"scores": scores}, "stored"),
    ):
        answer = client.post(
            f"{where}/{path}", json.dumps(body), content_type="application/json", headers=headers
        )
        assert answer.status_code == 207
        assert {one["result"] for one in answer.json()["results"]} == {known}
    return scores


def test_demo_is_furnished_through_the_services(client, tmp_path, settings):
    settings.LLMLAB_BASE_URL = "https://llmlab.example"
    demo = ensure_demo(folder=tmp_path)
    define_demo_scores(project=demo.project)
    define_demo_scores(project=demo.project)  # a start that was interrupted repeats it
    assert set(
        ScoreDefinition.objects.filter(project=demo.project).values_list("name", flat=True)
    ) == {"resolution", "groundedness"}
    anchor = timezone.now() - dt.timedelta(days=1)
    names = ("nightly-digest", "catalogue-audit", "goodwill-approval")
    stories = [
        run("support-answer", f"s{n}", anchor - dt.timedelta(hours=n), anchor) for n in range(60)
    ]
    stories += [run(name, name, anchor, anchor) for name in names]
    scores = send(client, demo, stories)
    furnish_demo(project=demo.project)
    views = SavedView.objects.filter(project=demo.project)
    assert {(v.name, v.is_shared, v.author.email) for v in views} == {
        ("Failures in production", True, "ines@fernhill.example"),
        ("Expensive answers", False, "demo@llmlab.local"),
    }
    disliked = {s["trace_id"] for s in scores if s["name"] == "thumbs" and not s["value"]}
    assert disliked
    collection = Collection.objects.get(project=demo.project)
    items = CollectionItem.objects.filter(project=demo.project, collection=collection.pk)
    assert set(items.values_list("trace_id", flat=True)) <= disliked
    assert items.count() == min(len(disliked), 12)
    comments = Comment.objects.filter(project=demo.project)
    by_trace = dict(Trace.objects.filter(project=demo.project).values_list("trace_id", "name"))
    assert sorted(by_trace[one.trace_id] for one in comments) == [
        "catalogue-audit", "goodwill-approval", "goodwill-approval", "nightly-digest",
    ]  # fmt: skip
    assert comments.filter(resolved_at__isnull=False).count() == 1
    suggestion = next(one for one in comments if by_trace[one.trace_id] == "nightly-digest")
    assert "/organizations/demo/prices/new/?provider=acme&model=acme-llama-70b" in suggestion.text
    mention = CommentMention.objects.get(comment=suggestion.pk)
    assert mention.user.email == "demo@llmlab.local"
    assert Score.objects.filter(project=demo.project).count() == len(scores)
