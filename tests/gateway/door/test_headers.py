"""Headers under all their names: who calls, and how the call is to be handled."""

import json
from uuid import UUID

import pytest

from gateway.dialects.facts import RequestError, RequestFacts, facts_of
from gateway.door.callers import caller_of
from gateway.door.headers import HeaderError, Said, read_headers
from gateway.door.wishes import Wishes, followed, wishes_of
from gateway.structs import Caller, Dialect, ProjectRules, RetryRule, RouteRules
from projects.authentication import KeyAuth

AUTH = KeyAuth(
    key_id=UUID(int=1),
    key_label="ci",
    project_id=UUID(int=2),
    project_slug="p",
    project_status="active",
    organization_id=UUID(int=3),
    scopes=frozenset({"gateway"}),
    content_capture="full",
    masking={},
    data_key=b"",
)
FACTS = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def said(**headers: str) -> Said:
    pairs = [(name.replace("_", "-").encode(), text.encode()) for name, text in headers.items()]
    return read_headers(pairs)


def facts(body: bytes) -> RequestFacts:
    """Of an ordinary request that also says `body`."""
    return facts_of(Dialect.CHAT, json.dumps(FACTS | json.loads(body)).encode())


def caller(body: bytes = b"{}", /, **headers: str) -> Caller:
    return caller_of(AUTH, said(**headers), facts(body))


def wishes(body: bytes = b"{}", rules: ProjectRules | None = None, /, **headers: str) -> Wishes:
    return wishes_of(said(**headers), facts(body), rules or ProjectRules(), AUTH.key_id.hex)


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ({"x_llmlab_user": "ada", "x_litellm_end_user_id": "b"}, {"user": "ada"}),
        ({"x_litellm_end_user_id": "b", "x_llmlab_user": "ada"}, {"user": "ada"}),
        ({"x_litellm_customer_id": "ada"}, {"user": "ada"}),
        ({"helicone_user_id": "ada"}, {"user": "ada"}),
        (
            {"x_portkey_metadata": '{"_user": "ada", "n": 1}'},
            {"user": "ada", "metadata": {"n": "1"}},
        ),
        ({"x_litellm_session_id": "s1"}, {"session": "s1"}),
        ({"helicone_session_id": "s1"}, {"session": "s1"}),
        ({"x_llmlab_tags": "a, b,,a"}, {"tags": ("a", "b")}),
        ({"x_litellm_tags": "a"}, {"tags": ("a",)}),
        ({"helicone_property_team": "x"}, {"metadata": {"team": "x"}}),
        ({"x_litellm_spend_logs_metadata": '{"a": [1]}'}, {"metadata": {"a": "[1]"}}),
        ({"helicone_prompt_id": "p7"}, {"prompt_version": "p7"}),
        ({"x_litellm_agent_id": "bot"}, {"agent": "bot"}),
        ({"traceparent": f"00-{TRACE}-{SPAN}-01"}, {"trace_id": TRACE, "parent_span_id": SPAN}),
        ({"traceparent": f"00-{TRACE}-{'0' * 16}-01"}, {"trace_id": "", "parent_span_id": ""}),
        ({"x_portkey_trace_id": "run-1"}, {"trace_id": "run-1"}),
    ],
)
def test_every_gateways_names_say_who_calls(
    headers: dict[str, str], found: dict[str, object]
) -> None:
    made = caller(**headers)

    assert {name: getattr(made, name) for name in found} == found


def test_body_says_what_headers_do_not() -> None:
    body = b'{"user":"eve","tags":["b"],"metadata":{"k":"v","tags":["c"]}}'

    made = caller(body, x_llmlab_tags="a", x_llmlab_metadata='{"k": "w"}')

    assert (made.user, made.tags, made.metadata) == ("eve", ("a", "b"), {"k": "w"})
    assert caller(body, helicone_user_id="ada").user == "ada"


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        ({"x_llmlab_user": "u" * 201}, "x-llmlab-user"),
        ({"x_llmlab_metadata": "[1]"}, "x-llmlab-metadata"),
        ({"x_litellm_tags": "t," * 60 + ",".join(map(str, range(60)))}, "x-litellm-tags"),
        ({"x_llmlab_trace_id": "a b"}, "x-llmlab-trace-id"),
        ({"x_llmlab_session": "s" * 9000}, "x-llmlab-session"),
    ],
)
def test_header_that_cannot_be_kept_is_named(headers: dict[str, str], name: str) -> None:
    with pytest.raises(HeaderError) as error:
        caller(**headers)

    assert error.value.name == name


def test_long_user_in_the_body_names_its_field() -> None:
    with pytest.raises(RequestError) as error:
        caller(b'{"user":"%b"}' % (b"u" * 300))

    assert error.value.field == "user"


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ({"authorization": "Bearer llmlab_sk_1"}, "llmlab_sk_1"),
        ({"x_api_key": "llmlab_sk_1"}, "llmlab_sk_1"),
        (
            {"authorization": "Bearer sk-openai", "helicone_auth": "Bearer llmlab_sk_1"},
            "llmlab_sk_1",
        ),
        ({"x_portkey_api_key": "llmlab_sk_1", "authorization": "Bearer sk-openai"}, "llmlab_sk_1"),
        ({"authorization": "Basic eDpsbG1sYWJfc2tfMQ=="}, "llmlab_sk_1"),
        ({"authorization": "Basic %%%"}, ""),
        ({}, ""),
    ],
)
def test_our_key_is_found_beside_others(headers: dict[str, str], key: str) -> None:
    assert said(**headers).key == key


def test_priority_by_header_key_and_project() -> None:
    rules = ProjectRules(default_priority="low", key_priorities={AUTH.key_id.hex: "high"})

    assert wishes(b"{}", rules).priority == 0
    assert wishes(b"{}", rules, x_llmlab_priority="Low").priority == 2
    assert wishes().priority == 1
    assert wishes(b'{"priority":"low"}').priority == 2
    assert [wishes(b'{"priority":%d}' % n).priority for n in (0, 1, 2000)] == [0, 1, 2]
    assert wishes(b'{"priority":0}', x_llmlab_priority="normal").priority == 1
    with pytest.raises(HeaderError, match="high, normal or low"):
        wishes(x_llmlab_priority="urgent")


def test_timeouts_shorten_the_deadline_and_never_lengthen_it() -> None:
    assert wishes(x_litellm_timeout="2.5").deadline_s == 2.5
    assert wishes(x_portkey_request_timeout="1500").deadline_s == 1.5
    assert wishes(x_llmlab_timeout="9999").deadline_s == ProjectRules().deadline_s
    for bad in ("0", "-1", "nan", "inf", "soon", ""):
        with pytest.raises(HeaderError, match="number of seconds"):
            wishes(x_llmlab_timeout=bad)


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ({"x_llmlab_cache": "off"}, {"is_on": False, "reads": False, "writes": False}),
        (
            {"helicone_cache_enabled": "true", "helicone_cache_seed": "7"},
            {"is_on": True, "namespace": "7"},
        ),
        ({"x_portkey_cache_force_refresh": "true"}, {"reads": False, "writes": True}),
        ({"x_llmlab_cache": "refresh"}, {"is_on": None, "reads": False}),
        ({"cache_control": "no-cache, max-age=60"}, {"reads": False, "ttl_s": 60}),
        ({"cache_control": "no-store"}, {"writes": False}),
        (
            {"x_llmlab_cache_per_user": "true", "x_llmlab_cache_ttl": "5"},
            {"per_user": True, "ttl_s": 5},
        ),
    ],
)
def test_cache_wishes(headers: dict[str, str], found: dict[str, object]) -> None:
    cache = wishes(**headers).cache

    assert {name: getattr(cache, name) for name in found} == found


def test_litellms_cache_in_the_body() -> None:
    cache = wishes(b'{"cache":{"no-cache":true,"ttl":9,"namespace":"n"}}').cache

    assert (cache.reads, cache.writes, cache.ttl_s, cache.namespace) == (False, True, 9, "n")


@pytest.mark.parametrize(
    "headers",
    [
        {"x_llmlab_cache": "sometimes"},
        {"x_llmlab_cache_ttl": "0"},
        {"x_llmlab_cache_namespace": "n" * 121},
        {"x_portkey_cache_force_refresh": "maybe"},
        {"x_llmlab_omit": "everything"},
    ],
)
def test_wish_nobody_understands_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(HeaderError) as error:
        wishes(**headers)

    assert error.value.name == next(iter(headers)).replace("_", "-")


def test_contents_are_left_out_of_the_record_when_asked() -> None:
    assert wishes(helicone_omit_response="true").flags == ("omit_output",)
    assert wishes(x_llmlab_omit="output,input").flags == ("omit_input", "omit_output")
    assert wishes(x_litellm_enable_message_redaction="true").flags == ("omit_input", "omit_output")
    assert wishes().flags == ()


def test_tries_and_patience_change_the_routes_rules() -> None:
    rules = RouteRules(retry=RetryRule(tries=3))

    assert followed(rules, said()) is rules
    assert followed(rules, said(helicone_retry_enabled="true")) is rules
    assert followed(rules, said(helicone_retry_enabled="false")).retry.tries == 1
    assert followed(rules, said(x_litellm_num_retries="0")).retry.tries == 1
    assert followed(rules, said(x_llmlab_tries="2")).retry.tries == 2
    assert followed(rules, said(x_litellm_stream_timeout="3")).first_token_s == 3
    with pytest.raises(HeaderError, match="whole number from 1 to 10"):
        followed(rules, said(x_llmlab_tries="99"))
