"""Billing connections by page: the wizard with its live check, changes, runs; and nobody ever sees a secret."""

import datetime as dt
import logging
from decimal import Decimal

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEvent
from core.models import Job
from costs.models import BilledCost, BillingAccount, BillingMapping, ProviderSync
from projects.connections import open_credentials
from projects.models import ProviderConnection
from tests.costs.billing.conftest import KEY
from tests.costs.repricing import finish
from tests.factories.billing import (
    BilledCostFactory,
    BilledRevisionFactory,
    BillingAccountFactory,
    CurrencyRateFactory,
    ProviderConnectionFactory,
    ProviderSyncFactory,
)
from tests.factories.projects import ProjectFactory

pytestmark = pytest.mark.django_db
BASE = "/organizations/acme/billing/"
NEW = f"{BASE}connections/new/?provider=openai"


def form_of(access: dict[str, str], **more: str) -> dict[str, str]:
    return {f"access_{name}": value for name, value in access.items()} | {"name": "Main"} | more


def url_of(connection: ProviderConnection, page: str = "") -> str:
    return f"{BASE}connections/{connection.pk}/{page}"


@pytest.fixture
def account(acme, bills) -> BillingAccount:
    """A connection to the simulator, read since the first of the month."""
    today = timezone.now().date()
    account = BillingAccountFactory(
        connection__organization=acme.organization,
        connection__name="Main",
        connection__settings={"base_url": f"{bills.url}/v1"},
        connection__credentials_in_clear={"admin_key": KEY},
        history_from=today - dt.timedelta(days=9),
    )
    ProviderSyncFactory(
        account=account, first_day=account.history_from, end_day=today + dt.timedelta(days=1)
    )
    return account


def test_the_wizard_asks_the_provider_and_starts_reading(acme, admin, access, caplog) -> None:
    caplog.set_level(logging.DEBUG)
    assert "OpenAI" in admin.get(f"{BASE}connections/new/").content.decode()
    assert "Admin key" in admin.get(NEW).content.decode()
    answer = admin.post(NEW, form_of(access))
    connection = ProviderConnection.objects.get()
    assert answer.headers["Location"] == url_of(connection, "setup/")
    assert (connection.status, connection.hint) == ("verified", "sk-admi…0042")
    assert open_credentials(connection) == {"admin_key": KEY}
    assert KEY.encode() not in bytes(connection.credentials)
    assert admin.get(url_of(connection)).headers["Location"] == url_of(connection, "setup/")
    today = timezone.now().date()
    start = {"schedule": "daily", "history_from": str(today - dt.timedelta(days=30))}
    assert admin.post(url_of(connection, "setup/"), start).headers["Location"] == url_of(connection)
    account, run = BillingAccount.objects.get(), ProviderSync.objects.get()
    assert (account.schedule, account.time_zone) == ("daily", "UTC")
    assert (run.kind, run.first_day) == ("backfill", today - dt.timedelta(days=30))
    page = admin.get(url_of(connection)).content.decode()
    assert "0 of 31 days" in page
    seen = page + admin.get(url_of(connection, "access/")).content.decode() + caplog.text
    seen += "".join(str(one) for one in AuditEvent.objects.values_list("target", "data"))
    assert KEY not in seen
    assert list(AuditEvent.objects.order_by("id").values_list("action", flat=True)) == [
        "billing.connection.created",
        "billing.connection.started",
    ]


def test_a_refused_key_is_told_in_the_providers_words_and_nothing_is_kept(admin, access) -> None:
    wrong = access | {"admin_key": "sk-proj-NOTANADMINKEYSECRETSECRET-0001"}
    answer = admin.post(NEW, form_of(wrong))
    page = answer.content.decode()
    assert answer.status_code == 422
    assert "OpenAI accepts the credentials, but they may not read the bill" in page
    assert "SECRETSECRET" not in page
    assert not ProviderConnection.objects.exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"access_admin_key": ""}, "required"),
        ({"name": ""}, "required"),
        ({"name": "Taken"}, "named &#x27;Taken&#x27; already"),
        ({"access_base_url": "http://169.254.169.254/"}, "169.254.169.254"),
        ({"access_base_url": "ftp://example.com"}, "ftp"),
    ],
)
def test_a_wrong_form_says_which_field(acme, admin, access, change, words) -> None:
    ProviderConnectionFactory(organization=acme.organization, name="Taken")
    answer = admin.post(NEW, form_of(access) | change)
    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert ProviderConnection.objects.count() == 1


def test_help_is_shown_as_it_is_written(admin) -> None:
    page = admin.get(f"{BASE}connections/new/?provider=azure").content.decode()
    assert "subscriptions/&lt;id&gt;" in page


def test_an_unknown_provider_is_refused(admin) -> None:
    assert admin.get(f"{BASE}connections/new/?provider=acme").status_code == 400


def test_a_key_is_rotated_only_when_the_provider_takes_it(account, admin, access) -> None:
    connection = account.connection
    page = url_of(connection, "access/")
    newer = "sk-admin-NEWERSECRETNEWERSECRET-0077"
    same_place = {"access_base_url": access["base_url"]}
    refused = admin.post(page, same_place | {"access_admin_key": "sk-proj-WRONGWRONGWRONG-0001"})
    assert refused.status_code == 422
    connection.refresh_from_db()
    assert open_credentials(connection)["admin_key"] == KEY
    assert admin.post(page, same_place | {"access_admin_key": newer}).status_code == 302
    connection.refresh_from_db()
    assert open_credentials(connection)["admin_key"] == newer
    assert connection.hint == "sk-admi…0077"
    event = AuditEvent.objects.get(action="billing.connection.access_changed")
    assert event.data["changed"] == ["admin_key"]
    assert admin.post(page, same_place | {"access_admin_key": ""}).status_code == 302
    connection.refresh_from_db()
    assert open_credentials(connection)["admin_key"] == newer


def test_a_stored_secret_is_never_sent_to_a_new_address(account, admin, bills) -> None:
    elsewhere = bills.url.replace("127.0.0.1", "localhost") + "/v1"
    bills.received().clear()
    answer = admin.post(url_of(account.connection, "access/"), {"access_base_url": elsewhere})
    assert answer.status_code == 422
    assert "never sent to a new address" in answer.content.decode()
    assert not bills.received()
    account.connection.refresh_from_db()
    assert account.connection.settings["base_url"] == f"{bills.url}/v1"


def test_the_check_keeps_the_providers_words(account, admin, bills) -> None:
    page = url_of(account.connection, "check/")
    bills.faults(
        faults=[{"kind": "status", "status": 401, "message": f"Bad key {KEY}", "times": 9}]
    )
    assert admin.post(page).status_code == 302
    account.connection.refresh_from_db()
    assert account.connection.status == "error"
    shown = admin.get(url_of(account.connection)).content.decode()
    assert "The provider refuses" in shown
    assert "Bad key" in shown
    assert KEY not in shown
    bills.faults()
    admin.post(page)
    account.connection.refresh_from_db()
    assert (account.connection.status, account.connection.status_message) == ("verified", "")


def test_runs_are_started_cancelled_and_resumed(account, admin) -> None:
    page = url_of(account.connection, "syncs/")
    first = account.history_from - dt.timedelta(days=5)
    admin.post(page, {"kind": "history", "first_day": first, "last_day": account.history_from})
    run = ProviderSync.objects.latest("created_at")
    assert (run.kind, run.first_day, (run.end_day - run.first_day).days) == ("backfill", first, 6)
    account.refresh_from_db()
    assert account.history_from == first
    again = admin.post(page, {"kind": "now"}, follow=True).content.decode()
    assert "already" in again
    assert ProviderSync.objects.filter(state="queued").count() == 1
    admin.post(f"{BASE}syncs/{run.pk}/cancellation/")
    ProviderSync.objects.filter(pk=run.pk).update(state="cancelled")
    assert "Resume" in admin.get(url_of(account.connection)).content.decode()
    admin.post(f"{BASE}syncs/{run.pk}/resumption/")
    run.refresh_from_db()
    assert run.state == "queued"
    actions = AuditEvent.objects.filter(action__startswith="billing.sync").order_by("id")
    assert list(actions.values_list("action", flat=True)) == [
        "billing.sync.started",
        "billing.sync.cancelled",
        "billing.sync.resumed",
    ]


@pytest.mark.parametrize(
    "days",
    [
        {"first_day": ""},
        {"first_day": "soon"},
        {"first_day": "2019-01-01"},
        {"first_day": "2126-01-01"},
        {"first_day": "2026-11-02", "last_day": "2026-11-01"},
    ],
)
def test_impossible_days_start_no_run(account, admin, days) -> None:
    before = ProviderSync.objects.count()
    answer = admin.post(url_of(account.connection, "syncs/"), {"kind": "history", **days})
    assert answer.status_code == 302
    assert ProviderSync.objects.count() == before


def test_a_pause_stops_reading_until_it_is_resumed(account, admin) -> None:
    run = ProviderSyncFactory(account=account, state="queued")
    admin.post(url_of(account.connection, "pause/"), {"paused": "1"})
    account.refresh_from_db()
    assert (account.connection.status, account.next_sync_at) == ("paused", None)
    admin.post(url_of(account.connection, "syncs/"), {"kind": "now"})
    assert ProviderSync.objects.exclude(pk=run.pk).count() == 1
    assert "Paused: nothing is read" in admin.get(url_of(account.connection)).content.decode()
    admin.post(url_of(account.connection, "pause/"), {"paused": "0"})
    account.refresh_from_db()
    account.connection.refresh_from_db()
    assert account.next_sync_at is not None
    assert account.connection.status != "paused"


def test_name_and_schedule_change_and_another_name_stays_taken(acme, account, admin) -> None:
    ProviderConnectionFactory(organization=acme.organization, name="Taken")
    page = url_of(account.connection, "edit/")
    form = {"name": "Other", "schedule": "manual", "history_from": str(account.history_from)}
    assert admin.post(page, form).status_code == 302
    account.refresh_from_db()
    assert (account.connection.name, account.schedule, account.next_sync_at) == (
        "Other",
        "manual",
        None,
    )
    assert admin.post(page, form | {"name": "Taken"}).status_code == 422
    assert admin.post(page, form | {"history_from": "1999-01-01"}).status_code == 422
    account.connection.refresh_from_db()
    assert account.connection.name == "Other"


def test_a_deletion_forgets_the_key_at_once_and_the_lines_in_steps(account, admin, globex) -> None:
    BilledCostFactory.create_batch(3, account=account)
    kept = BilledCostFactory(account__connection__organization=globex.organization)
    page = url_of(account.connection, "deletion/")
    admin.post(page, {"confirmation": "wrong"})
    account.connection.refresh_from_db()
    assert open_credentials(account.connection) == {"admin_key": KEY}
    admin.post(page, {"confirmation": "Main"})
    account.connection.refresh_from_db()
    assert open_credentials(account.connection) == {}
    assert "Being deleted" in admin.get(BASE).content.decode()
    assert admin.post(url_of(account.connection, "syncs/"), {"kind": "now"}).status_code == 302
    job = Job.objects.get(kind="costs.delete_connection")
    finish(job)
    assert not ProviderConnection.objects.filter(pk=account.connection_id).exists()
    assert list(BilledCost.objects.values_list("pk", flat=True)) == [kept.pk]


def test_the_list_shows_state_bill_and_days(acme, account, viewer) -> None:
    today = timezone.now().date()
    BilledCostFactory(account=account, day=today, amount="12.5")
    BilledCostFactory(account=account, day=today, amount="7.25", currency="EUR")
    ProviderConnectionFactory(organization=acme.organization, name="Draft", provider="google")
    page = viewer.get(BASE).content.decode()
    assert "$12.50" in page
    assert "+ 7.25 EUR" in page
    assert f"No rate for EUR on {today}" in page
    assert "9 of 9" in page
    assert "Not set up" in page
    assert "Connect a provider" not in page
    part = viewer.get(f"{BASE}?provider=google", headers={"HX-Request": "true"}).content.decode()
    assert "Draft" in part
    assert "Main" not in part
    assert "<html" not in part
    assert viewer.get(f"{BASE}?state=nice").status_code == 400


def test_days_nobody_read_are_gaps_not_zero(account, viewer) -> None:
    ProviderSync.objects.all().delete()
    start = account.history_from
    day = dt.timedelta(days=1)
    ProviderSyncFactory(account=account, first_day=start + day, end_day=start + 4 * day)
    ProviderSyncFactory(
        account=account,
        first_day=start + 3 * day,
        end_day=start + 9 * day,
        next_day=start + 6 * day,
        state="cancelled",
    )
    page = viewer.get(url_of(account.connection)).content.decode()
    assert "Days not read yet" in page
    assert f"{start}</span>" in page
    assert f"{start + 6 * day} – {start + 8 * day}" in page


def test_the_chart_adds_up_to_the_bill_by_day_and_model(account, viewer) -> None:
    today = timezone.now().date()
    for model, amount in (("gpt-5", "1.10"), ("gpt-5", "2.20"), ("gpt-5-mini", "0.30")):
        BilledCostFactory(account=account, day=today, model=model, amount=amount)
    page = viewer.get(url_of(account.connection)).content.decode()
    assert "$3.60 in all" in page
    assert "gpt-5-mini" in page
    part = viewer.get(url_of(account.connection, "chart/?period=last")).content.decode()
    assert "No line in this period" in part


def test_lines_filter_order_page_and_export(account, viewer, globex) -> None:
    today = timezone.now().date()
    BilledCostFactory(account__connection__organization=globex.organization, model="foreign")
    for n in range(55):
        BilledCostFactory(
            account=account, day=today - dt.timedelta(days=n % 5), amount=Decimal(n), model=f"m-{n}"
        )
    BilledCostFactory(account=account, amount="-3", category="credit", description="=HYPERLINK(1)")
    for sort in ("", "day", "amount"):
        first = viewer.get(f"{BASE}lines/?sort={sort}").context["page"]
        second = viewer.get(f"{BASE}lines/?sort={sort}&after={first.following}").context["page"]
        rows = first.rows + second.rows
        assert (len(rows), len({row.pk for row in rows}), second.following) == (56, 56, "")
        if sort == "amount":
            assert [row.amount for row in rows] == sorted((r.amount for r in rows), reverse=True)
    credit = viewer.get(f"{BASE}lines/?category=credit").context["page"].rows
    assert [row.amount for row in credit] == [Decimal(-3)]
    assert viewer.get(f"{BASE}lines/?q=m-54").context["page"].rows[0].model == "m-54"
    csv = b"".join(viewer.get(f"{BASE}lines/export.csv").streaming_content).decode()
    assert len(csv.splitlines()) == 57
    assert "foreign" not in csv
    assert ",'=HYPERLINK(1)," in csv
    assert ",-3,," in csv


@pytest.mark.parametrize(
    "query",
    ["from=soon", "from=2026-11-02&to=2026-11-01", "connection=5", "category=x", "sort=x", "after=x", "q=%00"],
)  # fmt: skip
def test_a_wrong_filter_is_a_400(account, viewer, query) -> None:
    assert viewer.get(f"{BASE}lines/?{query}").status_code == 400


def test_corrections_filter_page_and_export(account, viewer) -> None:
    BilledRevisionFactory.create_batch(51, account=account)
    BilledRevisionFactory(account=account, before=None, subject="late line")
    BilledRevisionFactory(account=account, after=None, is_usage=True, unit="tokens")
    first = viewer.get(f"{BASE}corrections/").context["page"]
    second = viewer.get(f"{BASE}corrections/?before={first.following}").context["page"]
    assert (len(first.rows), len(second.rows)) == (50, 3)
    for query, count in (
        ("change=added", 1),
        ("change=removed", 1),
        ("change=changed&kind=cost", 50),
        ("q=late", 1),
    ):
        assert len(viewer.get(f"{BASE}corrections/?{query}").context["page"].rows) == count
    csv = b"".join(viewer.get(f"{BASE}corrections/export.csv").streaming_content).decode()
    assert len(csv.splitlines()) == 54
    assert viewer.get(f"{BASE}corrections/?before=x").status_code == 400


def test_keys_are_mapped_to_projects_or_outside(acme, account, admin, globex) -> None:
    project = ProjectFactory(organization=acme.organization, name="Checkout")
    foreign = ProjectFactory(organization=globex.organization)
    today = timezone.now().date()
    BilledCostFactory(account=account, day=today, provider_key_id="key_1", provider_key_name="CI")
    page = url_of(account.connection, "mappings/")
    assert "CI" in admin.get(page).content.decode()
    form = {
        "sub_account": ["proj_1", "proj_1"],
        "key": ["", "key_1"],
        "target": [str(project.pk), "outside"],
    }
    assert admin.post(page, form).status_code == 302
    assert set(
        BillingMapping.objects.values_list("provider_key_id", "project_id", "is_outside")
    ) == {("", project.pk, False), ("key_1", None, True)}
    refused = admin.post(page, form | {"target": [str(foreign.pk), ""]})
    assert refused.status_code == 400
    assert BillingMapping.objects.count() == 2
    assert admin.post(page, form | {"target": ["", ""]}).status_code == 302
    assert not BillingMapping.objects.exists()


def test_a_rate_turns_unknown_into_dollars(account, viewer) -> None:
    today = timezone.now().date()
    BilledCostFactory(account=account, day=today, amount="2", currency="EUR", amount_usd="2.2")
    CurrencyRateFactory()
    assert "$2.20" in viewer.get(BASE).content.decode()


CHANGES = (
    ("access/", {"access_admin_key": "x"}), ("edit/", {"name": "Hacked"}), ("check/", {}), ("pause/", {}),
    ("deletion/", {"confirmation": "Main"}), ("syncs/", {"kind": "now"}),
    ("mappings/", {"sub_account": "a", "key": "", "target": "outside"}),
)  # fmt: skip


@pytest.mark.parametrize("who", ["viewer", "member", "stranger", "anonymous"])
def test_nobody_else_changes_anything(who, acme, globex, account, client_of, client) -> None:
    other = {"stranger": globex.owner, "anonymous": None}.get(who, getattr(acme, who, None))
    asking = client_of(other) if other else client
    expected = {"stranger": 404, "anonymous": 302}.get(who, 403)
    before = list(ProviderConnection.objects.values()), list(BillingAccount.objects.values())
    for page, form in CHANGES:
        assert asking.post(url_of(account.connection, page), form).status_code == expected, page
    assert asking.post(NEW, {"name": "Mine"}).status_code == expected
    assert (
        list(ProviderConnection.objects.values()),
        list(BillingAccount.objects.values()),
    ) == before
    assert ProviderSync.objects.count() == 1
    assert not BillingMapping.objects.exists()
    if who == "stranger":
        for page in ("", "chart/", "mappings/"):
            assert asking.get(url_of(account.connection, page)).status_code == 404
        theirs = f"/organizations/globex/billing/connections/{account.connection_id}/"
        assert asking.get(theirs).status_code == 404
        for page in ("lines/", "corrections/"):
            address = f"/organizations/globex/billing/{page}?connection={account.connection_id}"
            assert not asking.get(address).context["page"].rows


def test_the_lists_ask_no_more_for_more_rows(
    acme, account, viewer, django_assert_max_num_queries
) -> None:
    def fill() -> None:
        more = BillingAccountFactory(connection__organization=acme.organization)
        ProviderSyncFactory.create_batch(3, account=more)
        BilledCostFactory.create_batch(3, account=more)
        BilledRevisionFactory.create_batch(3, account=more)

    for _ in range(5):
        fill()
    viewer.get(BASE)
    for page, most in (("", 10), ("lines/", 9), ("corrections/", 9)):
        with django_assert_max_num_queries(most):
            assert viewer.get(f"{BASE}{page}").status_code == 200
    with django_assert_max_num_queries(13):
        assert viewer.get(reverse("costs:billing_connection", args=["acme", account.connection_id]))
