"""What two requests must share to share an answer: the exact key, and the scope of answers by meaning (pure).

The key is the hash of everything that shapes the answer: project, namespace, wire, model, every field of the body
(also those nobody here knows yet), the rules it passes through and, if asked, the user. Left out is only what is known
not to shape it. The scope is the same without the words of the last user turn.
"""

import hashlib
from typing import Any

import msgspec

from gateway.dialects.facts import RequestFacts
from gateway.structs import CachePlan, CacheRule, CacheWishes, Caller, Dialect

# How the answer is sent, who asks and what is kept of it.
_NOT_SHAPING = frozenset(
    {
        "stream", "stream_options", "user", "safety_identifier", "metadata", "store", "tags", "cache", "model",
        "prompt_cache_key", "prompt_cache_retention",
    }
)  # fmt: skip
# Whoever says the default says nothing.
_DEFAULTS: dict[str, Any] = {"n": 1}
# State at the provider that changes under the same name, and answers that come later.
_MOVING = ("conversation", "container", "background")
_CACHED = frozenset(
    {Dialect.CHAT, Dialect.RESPONSES, Dialect.COMPLETIONS, Dialect.MESSAGES, Dialect.EMBEDDINGS}
)
_WITH_MEANING = frozenset({Dialect.CHAT, Dialect.RESPONSES, Dialect.COMPLETIONS, Dialect.MESSAGES})
_TEXT_PARTS = ("text", "input_text")
# A longer question is told apart from its neighbours too badly by one vector.
MAX_QUESTION = 4_000

_canonical = msgspec.json.Encoder(order="sorted").encode
_pack = msgspec.msgpack.Encoder().encode
_NO_WISHES = CacheWishes()


def plan(
    dialect: Dialect,
    facts: RequestFacts,
    caller: Caller,
    rule: CacheRule,
    wishes: CacheWishes = _NO_WISHES,
    *,
    shape: bytes = b"",
) -> CachePlan | None:
    """What the caches do for a call; None: nothing. `rule` is the route's or the project's, `shape` what else makes
    the answer what it is (gateway.cache.shape). `facts` must be those of the body after the input guards."""
    rule = _wished(rule, wishes)
    if not (rule.exact or rule.semantic) or not (wishes.reads or wishes.writes):
        return None
    document = facts.document
    if dialect not in _CACHED or any(document.get(field) for field in _MOVING):
        return None
    if rule.per_user and not caller.user:
        return None  # nobody knows whose answer it would be
    head = (
        caller.project_id,
        rule.namespace,
        dialect.value,
        facts.model,
        caller.user if rule.per_user else "",
        shape,
    )
    body = shaping(document)
    question = _question(dialect, facts) if rule.semantic else ""
    return CachePlan(
        key=_hash(b"key", head, body),
        scope=_hash(b"scope", head, without_question(dialect, body)) if question else "",
        rule=rule,
        reads=wishes.reads,
        writes=wishes.writes,
        question=question,
    )


def _wished(rule: CacheRule, wishes: CacheWishes) -> CacheRule:
    """The rule as the caller wants it. Nobody can wish for answers by meaning where the rule has none."""
    if wishes is _NO_WISHES:
        return rule
    if wishes.is_on is False:
        return CacheRule()
    changes: dict[str, Any] = {}
    if wishes.is_on and not (rule.exact or rule.semantic):
        changes["exact"] = True
    if wishes.ttl_s is not None:
        changes["ttl_s"] = wishes.ttl_s
    if wishes.namespace is not None:
        changes["namespace"] = wishes.namespace
    if wishes.per_user is not None:
        # What the rule keeps apart stays apart.
        changes["per_user"] = rule.per_user or wishes.per_user
    return msgspec.structs.replace(rule, **changes) if changes else rule


def shaping(document: dict[str, Any]) -> dict[str, Any]:
    """The body without what does not shape the answer, said in one way. The model is told apart by its name."""
    found: dict[str, Any] = {}
    for field, value in document.items():
        if field in _NOT_SHAPING or value is None or _DEFAULTS.get(field) == value:
            continue
        if type(value) is float and value.is_integer():
            value = int(value)
        found[field] = value
    for field in ("messages", "input"):
        if type(found.get(field)) is list:
            found[field] = [_said_once(one) for one in found[field]]
    return found


def _said_once(message: Any) -> Any:
    """A message of one text part and nothing else says the same as that text."""
    if type(message) is not dict:
        return message
    content = message.get("content")
    if type(content) is not list or len(content) != 1:
        return message
    part = content[0]
    if type(part) is dict and len(part) == 2 and part.get("type") in _TEXT_PARTS:
        text = part.get("text")
        if type(text) is str:
            return {**message, "content": text}
    return message


def _question(dialect: Dialect, facts: RequestFacts) -> str:
    """The words to compare by meaning; empty: only exact answers count."""
    if dialect not in _WITH_MEANING:
        return ""
    if dialect is Dialect.COMPLETIONS and type(facts.document.get("prompt")) is not str:
        return ""
    text = facts.last_user_text.strip()
    return text if len(text) <= MAX_QUESTION else ""


def without_question(dialect: Dialect, body: dict[str, Any]) -> dict[str, Any]:
    """`shaping`'s body without the words of the last user turn; its images and files stay."""
    field = {Dialect.COMPLETIONS: "prompt", Dialect.RESPONSES: "input"}.get(dialect, "messages")
    given = body.get(field)
    if type(given) is not list:
        return {**body, field: ""}
    for place in range(len(given) - 1, -1, -1):
        message = given[place]
        if type(message) is dict and message.get("role") == "user" and not _is_results(message):
            turns = [*given]
            turns[place] = {**message, "content": _wordless(message.get("content"))}
            return {**body, field: turns}
    return body


def _is_results(message: dict[str, Any]) -> bool:
    content = message.get("content")
    return (
        type(content) is list
        and bool(content)
        and all(type(part) is dict and part.get("type") == "tool_result" for part in content)
    )


def _wordless(content: Any) -> Any:
    if type(content) is not list:
        return ""
    return [
        {**part, "text": ""} if type(part) is dict and part.get("type") in _TEXT_PARTS else part
        for part in content
    ]


def _hash(kind: bytes, head: tuple[Any, ...], body: dict[str, Any]) -> str:
    return hashlib.sha256(kind + _pack(head) + _canonical(body)).hexdigest()
