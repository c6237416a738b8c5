"""What people would have done in the demo project: views, comments, a collection. Once, after its history is stored."""

import datetime as dt
from urllib.parse import urlencode

from django.conf import settings
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from accounts.models import Role, User
from costs.allocation.demo import furnish_teams
from costs.budgets.demo import furnish_budgets
from examples.demo.judgements import RESOLUTIONS
from projects.demo import COLLEAGUE_EMAIL, EMAIL
from projects.models import Project
from traces.feedback.collections import add_traces, create_collection
from traces.feedback.comments import add_comment, resolve_comment
from traces.feedback.definitions import Rules, define_score
from traces.models import Score, ScoreDefinition, ScoreType, Trace
from traces.saved_views import Actor, create_view
from traces.waste import sweep

EXAMPLES = 12


@transaction.atomic
def define_demo_scores(*, project: Project) -> None:
    """What the demo's scores must look like; before the first of them is sent. Once."""
    owner = User.objects.get(email=EMAIL)
    if ScoreDefinition.objects.filter(project=project).exists():
        return
    define_score(
        project=project, name="resolution", data_type=ScoreType.CATEGORICAL, actor=owner,
        rules=Rules(categories=RESOLUTIONS, description="How the conversation ended"),
    )  # fmt: skip
    define_score(
        project=project, name="groundedness", data_type=ScoreType.NUMERIC, actor=owner,
        rules=Rules(min_value=0, max_value=1, description="Share of claims that stand in the help articles"),
    )  # fmt: skip


@transaction.atomic
def furnish_demo(*, project: Project) -> None:
    """Saved views, comments with a mention, a collection, budgets and teams, made through the services people use.

    A run it wants to comment on and does not find is passed over: a short history has no weekly audit.
    """
    owner = User.objects.get(email=EMAIL)
    colleague = User.objects.get(email=COLLEAGUE_EMAIL)
    _views(project, owner, colleague)
    _comments(project, owner, colleague)
    _collection(project, colleague)
    now = timezone.now()
    furnish_budgets(project=project, owner=owner, now=now)
    furnish_teams(organization_id=project.organization_id, owner=owner, now=now)
    sweep.ask(project_id=project.pk, now=now)


def _views(project: Project, owner: User, colleague: User) -> None:
    create_view(
        project=project,
        actor=Actor(colleague, Role.MEMBER),
        name="Failures in production",
        query=urlencode({"q": "status:error env:production", "range": "7d", "sort": "-started"}),
        is_shared=True,
    )
    create_view(
        project=project,
        actor=Actor(owner, Role.OWNER),
        name="Expensive answers",
        query=urlencode({"q": "agent:support-answer cost:>0.03", "range": "30d", "sort": "-cost"}),
    )


def _comments(project: Project, owner: User, colleague: User) -> None:
    now = timezone.now()
    mention = EMAIL.partition("@")[0]
    price = reverse("costs:price_create", args=[project.organization.slug])
    price = f"{settings.LLMLAB_BASE_URL}{price}?{urlencode({'provider': 'acme', 'model': 'acme-llama-70b'})}"
    _say(
        project, "nightly-digest", colleague, now,
        f"@{mention} our own `acme-llama-70b` has no price yet, so its calls stay unpriced. Shall we enter what the"
        f" hardware costs us? [Price it]({price})",
    )  # fmt: skip
    _say(
        project, "catalogue-audit", colleague, now,
        "Three agents for every listing: see the graph. The photo reviewer could go first and save the other two.",
    )  # fmt: skip
    found = _say(
        project, "triage", owner, now, "The queue names since 2026.11.1 do not exist.", "error"
    )  # fmt: skip
    if found:
        add_comment(
            project=project, trace_id=found, span_id="", author=colleague, now=now,
            text="Right, the prompt invents them. The next release names the queues.",
        )  # fmt: skip
    asked = _latest(project, "goodwill-approval")
    if asked:
        comment = add_comment(
            project=project, trace_id=asked, span_id="", author=owner, now=now, text="Why did this take hours?"
        )  # fmt: skip
        add_comment(
            project=project, trace_id=asked, span_id="", author=colleague, now=now,
            text="It waited for a person. Fold the pause above the steps and the rest becomes readable.",
        )  # fmt: skip
        resolve_comment(
            project=project, comment_id=comment.pk, resolved=True, actor=colleague, now=now
        )


def _say(
    project: Project, name: str, author: User, now: dt.datetime, text: str, status: str = ""
) -> str:
    """Comments on the newest run of that name; its id, or "" where there is none."""
    trace_id = _latest(project, name, status)
    if trace_id:
        add_comment(
            project=project, trace_id=trace_id, span_id="", text=text, author=author, now=now
        )
    return trace_id


def _latest(project: Project, name: str, status: str = "") -> str:
    found = Trace.objects.filter(project=project, name=name)
    if status:
        found = found.filter(status=status)
    return found.order_by("-started_at").values_list("trace_id", flat=True).first() or ""


def _collection(project: Project, colleague: User) -> None:
    disliked = Score.objects.filter(project=project, name="thumbs", value=0, trace_id__gt="")
    made = create_collection(
        project=project,
        name="Disliked answers",
        description="Real questions whose answer got a thumbs-down, to try the next prompt on.",
        actor=colleague,
    )
    ids = disliked.order_by("-scored_at").values_list("trace_id", flat=True)[:EXAMPLES]
    add_traces(project=project, collection=made, trace_ids=list(ids), actor=colleague)
