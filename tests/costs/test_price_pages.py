"""Models & prices, and the organisation's own prices: list, form, preview, application, removal."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import AuditEvent
from core.models import Job
from costs.models import CostRecord, PriceRule
from tests.costs.repricing import discount, finish, override, save
from tests.factories.projects import ProjectFactory
from tests.traces.spans import START, context_for, llm
from traces.ingest.write import write_spans

pytestmark = pytest.mark.django_db
NOW = START + dt.timedelta(hours=3)
FORM = {"provider": "acme", "model": "acme-llama-70b", "price_input": "4", "price_output": "10"}


@pytest.fixture
def project(acme: Any) -> Any:
    project = ProjectFactory(organization=acme.organization, slug="checkout")
    write_spans(
        context_for(project),
        [
            llm("a"),
            llm("b", model="acme-llama-70b", provider="acme"),
            llm("c", model="acme-llama-70b", provider="acme", usage=None),
            llm("d", model="=cmd()", provider="acme"),
        ],
        now=NOW,
    )
    return project


@pytest.fixture
def admin(acme: Any, client_of: Any) -> Client:
    return client_of(acme.admin)


def url(name: str, *args: Any, **query: str) -> str:
    text = "&".join(f"{key}={value}" for key, value in query.items())
    return reverse(f"costs:{name}", args=args) + (f"?{text}" if text else "")


def rows_of(response: Any) -> list[tuple[str, str]]:
    return [(one.row.provider, one.row.model) for one in response.context["rows"]]


def test_models_are_listed_with_prices_source_and_unpriced_share(project, admin):
    save(project, discount("10", "gpt*", provider="openai"))
    response = admin.get(url("model_list", "checkout", range="7d"))
    assert rows_of(response)[0] == ("openai", "gpt-5-mini")
    one = response.context["rows"][0]
    assert one.row.sums.cost_usd == Decimal("0.00045")
    assert one.cells["input"][0].price.price_usd == Decimal("0.225")  # $0.25 less 10 %
    assert one.row.price.price.source == "genai-prices 0.2.3, discount #1"
    unpriced = next(o for o in response.context["rows"] if o.row.model == "acme-llama-70b")
    assert (unpriced.row.sums.unpriced_calls, unpriced.row.sums.is_unpriced) == (2, True)
    assert "Set a price" in response.content.decode()


@pytest.mark.parametrize(
    ("query", "models"),
    [
        ({"q": "llama"}, ["acme-llama-70b"]),
        ({"provider": "openai"}, ["gpt-5-mini"]),
        ({"status": "priced"}, ["gpt-5-mini"]),
        ({"status": "unpriced"}, ["=cmd()", "acme-llama-70b"]),
        ({"sort": "model"}, ["=cmd()", "acme-llama-70b", "gpt-5-mini"]),
        ({"sort": "calls"}, ["=cmd()", "gpt-5-mini", "acme-llama-70b"]),
        ({"q": "nothing"}, []),
    ],
)
def test_the_list_filters_and_sorts(project, admin, query, models):
    response = admin.get(url("model_list", "checkout", range="7d", **query))
    assert [model for _, model in rows_of(response)] == models


def test_the_list_pages_and_exports_every_row(project, admin, acme):
    spans = [llm(f"m{n}", model=f"house-{n:03}", provider="acme") for n in range(60)]
    write_spans(context_for(project), spans, now=NOW)
    first = admin.get(url("model_list", "checkout", range="7d", sort="model"))
    second = admin.get(
        url("model_list", "checkout"),
        {"range": "7d", "sort": "model", "after": first.context["after"]},
    )
    assert (len(rows_of(first)), len(rows_of(second))) == (50, 13)
    assert not set(rows_of(first)) & set(rows_of(second))
    lines = admin.get(url("model_export", "checkout", range="7d")).content.decode().splitlines()
    assert len(lines) == 64
    assert lines[0].startswith("provider,model,calls,")
    assert any(line.startswith("acme,'=cmd(),1,") for line in lines)
    assert "openai,gpt-5-mini,1,1000,100,0,0,0,0.00045,0,priced,genai-prices 0.2.3" in lines[1]


@pytest.mark.parametrize(
    ("name", "query", "word"),
    [
        ("model_list", {"sort": "beauty"}, "sort"),
        ("model_list", {"status": "x"}, "status"),
        ("model_list", {"range": "ever"}, "range"),
        ("model_detail", {"range": "7d"}, "model"),
        ("model_list", {"q": "a" * 400}, "q has"),
    ],
)
def test_a_bad_address_is_refused_by_name(project, admin, name, query, word):
    response = admin.get(url(name, "checkout", **query))
    assert response.status_code == 400
    assert word in response.content.decode()


def test_one_model_tells_its_history_and_why_calls_have_no_price(project, admin):
    address = url("model_detail", "checkout", provider="acme", model="acme-llama-70b", range="7d")
    response = admin.get(address)
    reasons = {r.code: (r.calls, r.needs_price) for r in response.context["reasons"]}
    assert reasons == {"unknown_provider": (1, True), "no_usage": (1, False)}
    assert "Re-price these calls" in response.content.decode()
    save(project, override("acme-*", valid_from=START.date().isoformat()))
    periods = [one["period"] for one in admin.get(address).context["periods"]]
    assert [(p.first, p.last, p.price.override) for p in periods] == [
        (START.date(), None, 1),
        (None, START.date() - dt.timedelta(days=1), None),
    ]


def test_catalogue_prices_with_dates_are_in_the_history(project, admin):
    address = url("model_detail", "checkout", provider="openai", model="o3", range="7d")
    periods = admin.get(address).context["periods"]
    assert [one["period"].price.of("input").price_usd for one in periods] == [2, 10]
    assert periods[0]["period"].first == dt.date(2025, 6, 10)


def test_setting_a_price_shows_the_change_then_saves_and_reprices(project, admin, acme):
    form = admin.get(
        url("price_create", "acme", kind="override", provider="openai", model="gpt-5-mini")
    )
    assert form.context["form"].initial["price_input"] == "0.25"
    preview = admin.post(url("price_create", "acme", kind="override"), FORM, follow=True)
    assert (preview.context["changed"], preview.context["priced"]) == (1, 1)
    assert preview.context["change_usd"] == "0.005"
    assert not PriceRule.objects.exists()
    assert CostRecord.objects.get(project=project, span_id="b").cost_usd is None

    job = Job.objects.get(kind="costs.reprice_preview")
    done = admin.post(url("price_application", "acme", job.pk))
    reprice = Job.objects.get(kind="costs.reprice")
    assert done.url == f"/jobs/{reprice.pk}/"
    finish(reprice)
    assert CostRecord.objects.get(project=project, span_id="b").cost_usd == Decimal("0.005")
    rule = PriceRule.objects.get()
    assert (rule.number, rule.provider, rule.pattern, rule.author) == (
        1, "acme", "acme-llama-70b", acme.admin.user,
    )  # fmt: skip
    actions = set(AuditEvent.objects.values_list("action", flat=True))
    assert {"prices.rule.added", "prices.reprice.done"} <= actions
    event = AuditEvent.objects.get(action="prices.reprice.done")
    assert (event.actor, event.data["change_usd"]) == (acme.admin.user, "0.005")

    again = admin.post(url("price_application", "acme", job.pk), follow=True)
    assert "applied already" in again.content.decode()
    assert PriceRule.objects.count() == 1


def test_changing_and_removing_a_rule_keep_its_history(project, admin):
    save(project, override("acme-*", provider="acme"))
    changed = admin.post(
        url("price_rule", "acme", 1), {**FORM, "model": "acme-*", "price_input": "2"}, follow=True
    )
    assert changed.context["changed"] == 1
    admin.post(url("price_application", "acme", changed.context["job"].pk))
    finish(Job.objects.get(kind="costs.reprice"))
    assert CostRecord.objects.get(project=project, span_id="b").price_source == "override #2"
    old, new = PriceRule.objects.order_by("number")
    assert (old.removed_at is not None, new.replaces_id) == (True, old.pk)
    removal = admin.post(url("price_removal", "acme", 2), follow=True)
    assert (removal.context["changed"], removal.context["lost"]) == (1, 1)
    admin.post(url("price_application", "acme", removal.context["job"].pk))
    for job in Job.objects.filter(kind="costs.reprice"):
        finish(job)
    assert CostRecord.objects.get(project=project, span_id="b").cost_usd is None
    numbers = [
        one["rule"].number
        for one in admin.get(url("price_list", "acme", state="all")).context["rules"]
    ]
    assert numbers == [2, 1]
    assert admin.get(url("price_list", "acme")).context["rules"] == []


def test_a_rule_that_ties_with_another_is_refused_by_name(project, admin):
    save(project, override("acme-*", provider="acme", valid_from="2026-01-01"))
    response = admin.post(
        url("price_create", "acme", kind="override"),
        {**FORM, "model": "*-acme", "valid_to": "2026-06-30"},
    )
    assert response.status_code == 422
    text = response.content.decode()
    assert "Own price #1 (acme · acme-*, from 2026-01-01)" in text
    assert Job.objects.filter(kind="costs.reprice_preview").count() == 0


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"price_input": "-1"}, "price_input"),
        ({"price_input": "1e9"}, "price_input"),
        ({"price_input": "0.1234567890123"}, "price_input"),
        ({"price_input": "", "price_output": ""}, "price_input"),
        ({"price_input": "NaN"}, "price_input"),
        ({"above_input": "8"}, "above"),
        ({"above": "-5", "above_input": "8"}, "above"),
        ({"model": ""}, "model"),
        ({"model": "*a" * 12}, "model"),
        ({"valid_from": "2026-02-01", "valid_to": "2026-01-01"}, "valid_to"),
        ({"valid_from": "1066-10-14"}, "valid_from"),
    ],
)
def test_a_wrong_price_is_refused_at_its_field(project, admin, change, field):
    response = admin.post(url("price_create", "acme", kind="override"), {**FORM, **change})
    assert response.status_code == 422
    assert list(response.context["form"].errors) == [field]


@pytest.mark.parametrize("percent", ["101", "-1001", "abc", "", "1.23456789"])
def test_a_wrong_discount_is_refused(project, admin, percent):
    response = admin.post(
        url("price_create", "acme", kind="discount"), {"model": "*", "percent_off": percent}
    )
    assert response.status_code == 422
    assert list(response.context["form"].errors) == ["percent_off"]


def test_repricing_everything_or_one_model_is_previewed_first(project, admin):
    save(project, override("acme-*"))
    everything = admin.post(url("price_repricing", "acme"), {"since": "2026-01-01"}, follow=True)
    assert (everything.context["read"], everything.context["changed"]) == (4, 1)
    one = admin.post(
        url("price_repricing", "acme"), {"provider": "acme", "model": "acme-llama-70b"}, follow=True
    )
    assert (one.context["read"], one.context["changed"]) == (2, 1)
    assert admin.post(url("price_repricing", "acme"), {"since": "soon"}).status_code == 400


def test_rules_are_exported(project, admin):
    save(project, override("acme-*", note="=evil", valid_to="2026-12-31"))
    lines = admin.get(url("price_export", "acme")).content.decode().splitlines()
    assert lines[1].startswith("1,override,,acme-*,,input=4 output=10,,,2026-12-31,'=evil,,")


@pytest.mark.parametrize("role", ["member", "viewer"])
def test_members_see_and_admins_change(project, acme, client_of, role):
    save(project, override())
    client = client_of(getattr(acme, role))
    assert client.get(url("price_list", "acme")).context["may_change"] is False
    assert client.get(url("price_rule", "acme", 1)).status_code == 200
    assert (
        "Set a price" not in client.get(url("model_list", "checkout", range="7d")).content.decode()
    )
    before = (PriceRule.objects.count(), Job.objects.count())
    for name, args in (
        ("price_create", ["acme"]), ("price_rule", ["acme", 1]), ("price_removal", ["acme", 1]),
        ("price_repricing", ["acme"]),
    ):  # fmt: skip
        assert client.post(url(name, *args), FORM).status_code == 403
    assert (PriceRule.objects.count(), Job.objects.count()) == before


def test_another_organisation_and_strangers_find_nothing(project, globex, client_of, admin):
    save(project, override())
    preview = admin.post(url("price_create", "acme", kind="override"), FORM, follow=True).context[
        "job"
    ]
    client = client_of(globex.owner)
    before = (PriceRule.objects.count(), Job.objects.count())
    for name, args in (
        ("model_list", ["checkout"]), ("model_export", ["checkout"]), ("price_list", ["acme"]),
        ("price_rule", ["acme", 1]), ("price_preview", ["acme", preview.pk]),
        ("price_preview", ["globex", preview.pk]),
    ):  # fmt: skip
        assert client.get(url(name, *args)).status_code == 404
    for name, args in (
        ("price_application", ["acme", preview.pk]), ("price_application", ["globex", preview.pk]),
        ("price_removal", ["globex", 1]), ("price_rule", ["globex", 1]),
    ):  # fmt: skip
        assert client.post(url(name, *args), FORM).status_code == 404
    assert Client().get(url("price_list", "acme")).status_code == 302
    assert (PriceRule.objects.count(), Job.objects.count()) == before


def test_pages_ask_a_bounded_number_of_questions(project, admin, django_assert_max_num_queries):
    for n in range(30):
        save(project, override(f"house-{n}"))
    admin.get(url("model_list", "checkout"))  # the session remembers the project
    with django_assert_max_num_queries(9):
        admin.get(url("model_list", "checkout", range="7d"))
    with django_assert_max_num_queries(11):
        admin.get(
            url("model_detail", "checkout", provider="acme", model="acme-llama-70b", range="7d")
        )
    with django_assert_max_num_queries(7):
        admin.get(url("price_list", "acme"))
