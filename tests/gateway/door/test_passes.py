"""A person's pass at the door: what it opens, what it does not, and whose call it becomes."""

from typing import Any

import httpx2
from django.utils import timezone

from accounts.models import Membership
from gateway.models import LLMRequest
from gateway.playground.passes import LIFE, issue_pass
from tests.factories.accounts import MembershipFactory
from tests.factories.gateway import LimitFactory
from tests.functional.server import Server
from tests.gateway.door.conftest import make_key, until

CHAT = {"model": "gpt-5.4-mini", "messages": [{"role": "user", "content": "Hi"}]}


def pass_of(membership: Membership, project: Any) -> str:
    return issue_pass(user=membership.user, project=project, now=timezone.now())


def post(gateway: Server, raw: str, **headers: str) -> httpx2.Response:
    headers["authorization"] = f"Bearer {raw}"
    with httpx2.Client(base_url=gateway.url, timeout=10, trust_env=False) as client:
        return client.post("/v1/chat/completions", json=CHAT, headers=headers)


def test_a_pass_without_the_right_opens_nothing_and_stores_nothing(
    gateway: Server, db: None
) -> None:
    project, other = make_key().project, make_key().project
    viewer = MembershipFactory(organization=project.organization, role="viewer")
    stranger = MembershipFactory(organization=other.organization, role="owner")
    member = MembershipFactory(organization=project.organization, role="member")
    good = pass_of(member, project)
    old = issue_pass(user=member.user, project=project, now=timezone.now() - LIFE)
    for raw in (
        pass_of(viewer, project),
        pass_of(stranger, project),
        old,
        good[:-2],
        "llmlab_pass_",
    ):
        answer = post(gateway, raw)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")
    for path in ("/v1/models", "/v1/files"):
        headers = {"authorization": f"Bearer {good}"}
        answer = httpx2.get(gateway.url + path, headers=headers, trust_env=False)
        assert answer.json()["error"]["code"] == "key_needed", path
    answer = post(gateway, good, prefer="respond-async")
    assert answer.json()["error"]["code"] == "key_needed"
    until(lambda: LLMRequest.objects.filter(project=project).exists())
    assert list(LLMRequest.objects.filter(project=project).values_list("state", "cost_usd")) == [
        ("refused", None)  # the job: a call of somebody who may call, and so on the record
    ]
    assert not LLMRequest.objects.filter(project=other).exists()


def test_a_call_by_hand_counts_for_its_person_whatever_it_says(gateway: Server, db: None) -> None:
    project = make_key().project
    ann, bob = (
        MembershipFactory(organization=project.organization, role="member") for _ in range(2)
    )
    LimitFactory(
        organization=project.organization, scope="user", value=ann.user.email, metric="tokens", amount=1,
    )  # fmt: skip
    answer = post(gateway, pass_of(ann, project), **{"x-llmlab-user": bob.user.email})
    assert answer.status_code == 429
    until(lambda: LLMRequest.objects.filter(project=project).exists())
    row = LLMRequest.objects.get(project=project)
    assert (row.user_id, row.api_key_id, row.state) == (ann.user.email, None, "refused")
