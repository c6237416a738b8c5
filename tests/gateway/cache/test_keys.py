"""Which requests share an exact answer, and which a scope."""

from typing import Any

import msgspec
import pytest

from gateway.cache.keys import plan
from gateway.cache.shape import shape_of
from gateway.dialects.facts import facts_of
from gateway.structs import (
    CachePlan,
    CacheRule,
    CacheWishes,
    Caller,
    Dialect,
    GuardRule,
    Match,
    RouteRules,
    TargetRule,
)

RULE = CacheRule(exact=True, semantic=True)
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


def body(**changes: Any) -> dict[str, Any]:
    asked = {
        "model": "gpt-5",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "What is the capital of France?"},
        ],
        "temperature": 0.5,
    }
    return asked | changes


def planned(
    document: dict[str, Any] | None = None,
    *,
    rule: CacheRule = RULE,
    wishes: CacheWishes | None = None,
    project: str = "p1",
    user: str = "",
    dialect: Dialect = Dialect.CHAT,
    shape: bytes = b"",
) -> CachePlan | None:
    facts = facts_of(dialect, msgspec.json.encode(document or body()))
    caller = Caller(organization_id="o", project_id=project, key_id="k", user=user)
    return plan(dialect, facts, caller, rule, wishes or CacheWishes(), shape=shape)


def key(document: dict[str, Any] | None = None, **options: Any) -> str:
    found = planned(document, **options)
    assert found is not None
    return found.key


def scope(document: dict[str, Any] | None = None, **options: Any) -> str:
    found = planned(document, **options)
    assert found is not None
    return found.scope


def user_says(text: Any) -> list[dict[str, Any]]:
    return [{"role": "system", "content": "Be brief."}, {"role": "user", "content": text}]


@pytest.mark.parametrize(
    "same",
    [
        dict(reversed(body().items())),
        body(stream=True, stream_options={"include_usage": True}),
        body(user="u9", metadata={"a": "b"}, store=True, safety_identifier="x", tags=["t"]),
        body(n=1, top_p=None),
        body(messages=[{"content": "Be brief.", "role": "system"}, body()["messages"][1]]),
        body(messages=user_says([{"type": "text", "text": "What is the capital of France?"}])),
    ],
)
def test_what_does_not_shape_the_answer_makes_no_other_key(same: dict[str, Any]) -> None:
    assert key(same) == key()
    assert scope(same) == scope()


@pytest.mark.parametrize(
    "other",
    [
        body(model="gpt-5-mini"),
        body(temperature=0.6),
        body(n=2),
        body(tools=[TOOL]),
        body(response_format={"type": "json_object"}),
        body(some_field_of_2031={"x": 1}),
        body(messages=[{"role": "system", "content": "Be long."}, body()["messages"][1]]),
        body(messages=[*body()["messages"][:1], {"role": "assistant", "content": "Hi"}, body()["messages"][1]]),
        body(
            messages=user_says(
                [
                    {"type": "text", "text": "What is the capital of France?"},
                    {"type": "image_url", "image_url": {"url": "data:,x"}},
                ]
            )
        ),
    ],
)  # fmt: skip
def test_everything_else_makes_another_key_and_another_scope(other: dict[str, Any]) -> None:
    assert key(other) != key()
    assert scope(other) != scope()


def test_other_words_make_another_key_in_the_same_scope() -> None:
    other = body(messages=user_says("And of Spain?"))
    assert key(other) != key()
    assert scope(other) == scope()


def test_projects_namespaces_wires_users_and_rules_are_apart() -> None:
    apart = {
        key(),
        key(project="p2"),
        key(rule=msgspec.structs.replace(RULE, namespace="v2")),
        key(wishes=CacheWishes(namespace="v3")),
        key(dialect=Dialect.MESSAGES, document=body(max_tokens=5)),
        key(rule=msgspec.structs.replace(RULE, per_user=True), user="ann"),
        key(rule=msgspec.structs.replace(RULE, per_user=True), user="bob"),
        key(shape=b"other route"),
    }
    assert len(apart) == 8
    assert key(user="ann") == key(user="bob")


def test_an_answer_of_nobody_knows_whom_is_not_kept_per_user() -> None:
    assert planned(rule=CacheRule(exact=True, per_user=True)) is None


def test_a_caller_cannot_mix_what_the_rule_keeps_apart() -> None:
    found = planned(
        rule=CacheRule(exact=True, per_user=True), wishes=CacheWishes(per_user=False), user="ann"
    )
    assert found is not None
    assert found.rule.per_user


@pytest.mark.parametrize(
    ("rule", "wishes"),
    [
        (CacheRule(), CacheWishes()),
        (RULE, CacheWishes(is_on=False)),
        (RULE, CacheWishes(reads=False, writes=False)),
    ],
)
def test_nothing_is_planned_when_it_is_off(rule: CacheRule, wishes: CacheWishes) -> None:
    assert planned(rule=rule, wishes=wishes) is None


@pytest.mark.parametrize(
    ("dialect", "document"),
    [
        (Dialect.COUNT_TOKENS, body()),
        (Dialect.RESPONSES, {"model": "m", "input": "x", "conversation": "conv_1"}),
        (Dialect.RESPONSES, {"model": "m", "input": "x", "background": True}),
    ],
)
def test_what_moves_under_the_same_name_is_not_kept(
    dialect: Dialect, document: dict[str, Any]
) -> None:
    assert planned(document, dialect=dialect) is None


def test_a_wish_turns_on_the_exact_cache_and_never_the_one_by_meaning() -> None:
    found = planned(rule=CacheRule(), wishes=CacheWishes(is_on=True, ttl_s=60))
    assert found is not None
    assert (found.rule.exact, found.rule.semantic, found.rule.ttl_s) == (True, False, 60)
    assert found.question == found.scope == ""


def test_refresh_writes_without_reading() -> None:
    found = planned(wishes=CacheWishes(reads=False))
    assert found is not None
    assert (found.reads, found.writes) == (False, True)


@pytest.mark.parametrize(
    ("dialect", "one", "other"),
    [
        (Dialect.RESPONSES, {"model": "m", "input": "x y"}, {"model": "m", "input": "z"}),
        (
            Dialect.RESPONSES,
            {"model": "m", "input": [{"role": "user", "content": [{"type": "input_text", "text": "x"}]}]},
            {"model": "m", "input": [{"role": "user", "content": "z"}]},
        ),
        (Dialect.COMPLETIONS, {"model": "m", "prompt": "x"}, {"model": "m", "prompt": "y"}),
        (
            Dialect.MESSAGES,
            {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}]},
            {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "y"}]},
        ),
    ],
)  # fmt: skip
def test_every_wire_has_a_scope_without_the_question(
    dialect: Dialect, one: dict[str, Any], other: dict[str, Any]
) -> None:
    assert scope(one, dialect=dialect) == scope(other, dialect=dialect) != ""
    assert key(one, dialect=dialect) != key(other, dialect=dialect)


def test_routes_shape_answers_by_their_targets_and_by_which_conditions_hold() -> None:
    gold = TargetRule(connection="c", model="big", when=Match(tags=("gold",)))
    rules = RouteRules(targets=(gold, TargetRule(connection="c", model="small")))
    masked = (GuardRule(kind="pii", action="mask"),)
    shapes = {
        shape_of(None),
        shape_of(rules, holds=lambda when: True),
        shape_of(rules, holds=lambda when: False),
        shape_of(msgspec.structs.replace(rules, targets=rules.targets[1:])),
        shape_of(rules, guards=masked, holds=lambda when: False),
    }
    assert len(shapes) == 5
    assert shape_of(rules, holds=bool) == shape_of(
        msgspec.structs.replace(rules, timeout_s=3, cache=RULE), holds=bool
    )
