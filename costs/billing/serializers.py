"""Shapes of the billed ledger in the API. No shape has credentials: they go in and never out."""

from typing import Any

from rest_framework import serializers

from core.api.serializers import StrictSerializer
from costs.billing.mappings import OUTSIDE
from costs.billing.selectors import progress_of
from costs.models import BilledCost, BilledRevision, ProviderSync, SyncSchedule
from costs.serializers import AmountField
from projects.models import ConnectionProvider


class FieldSerializer(serializers.Serializer[Any]):
    """One thing a provider's connection needs: in `credentials` when it is secret, else in `settings`."""

    name = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # DRF takes fields off the class
    help = serializers.CharField()
    is_secret = serializers.BooleanField()
    is_required = serializers.BooleanField()
    choices = serializers.SerializerMethodField()
    default = serializers.CharField()

    def get_choices(self, field: Any) -> list[str]:
        return [value for value, _ in field.choices]


class ProviderSerializer(serializers.Serializer[Any]):
    """A provider whose bill can be read."""

    provider = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    overlap_days = serializers.IntegerField(
        help_text="Finished days that each scheduled sync reads again"
    )
    fields_ = FieldSerializer(many=True, source="fields")

    def to_representation(self, instance: Any) -> dict[str, Any]:
        found = super().to_representation(instance)
        return {**found, "fields": found.pop("fields_")}


class UnconvertedSerializer(serializers.Serializer[Any]):
    """Money without a rate of its currency: in no sum of dollars."""

    currency = serializers.CharField()
    amount = AmountField()
    first_day = serializers.DateField(source="first")
    last_day = serializers.DateField(source="last")


class BilledSerializer(serializers.Serializer[Any]):
    """What some lines come to."""

    usd = AmountField(allow_null=True, help_text="Null: no line, or none with a rate")
    lines = serializers.IntegerField()
    unconverted = UnconvertedSerializer(many=True)


class SpanSerializer(serializers.Serializer[Any]):
    """Days in a row, the last one included."""

    first_day = serializers.DateField(source="first")
    last_day = serializers.DateField(source="last")
    days = serializers.IntegerField()


class CoverageSerializer(serializers.Serializer[Any]):
    """How many days of the history have been read, and which not."""

    wanted = serializers.IntegerField()
    read = serializers.IntegerField()
    gaps = SpanSerializer(many=True)


class SyncSerializer(serializers.ModelSerializer[ProviderSync]):
    """One run of reading a bill, over the billing days from `first_day` up to `end_day`, which is not included."""

    connection = serializers.UUIDField(source="account.connection_id")
    days_done = serializers.SerializerMethodField()
    days_total = serializers.SerializerMethodField()
    error = serializers.CharField(help_text="The provider's words, secrets taken out")

    class Meta:
        model = ProviderSync
        fields = (
            "id", "connection", "kind", "state", "first_day", "end_day", "next_day", "days_done", "days_total",
            "requests", "attempts", "rows_added", "rows_changed", "rows_removed", "error", "created_at", "started_at",
            "ended_at",
        )  # fmt: skip

    def get_days_done(self, run: ProviderSync) -> int:
        return int(progress_of(run)["done"])

    def get_days_total(self, run: ProviderSync) -> int:
        return int(progress_of(run)["total"])


class SeenSerializer(serializers.Serializer[Any]):
    """What the last check saw."""

    account_name = serializers.CharField(default="")
    scope = serializers.CharField(default="")
    warnings = serializers.ListField(child=serializers.CharField(), default=list)


class ConnectionSerializer(serializers.Serializer[Any]):
    """A connection (a `Standing`). `hint` is what is left to see of its credentials."""

    id = serializers.UUIDField(source="connection.pk")
    name = serializers.CharField(source="connection.name")
    provider = serializers.CharField(source="connection.provider")
    status = serializers.CharField(
        source="connection.status", help_text="unverified, verified, error, paused"
    )
    status_message = serializers.CharField(source="connection.status_message")
    hint = serializers.CharField(source="connection.hint")
    settings = serializers.SerializerMethodField()
    seen = SeenSerializer()
    is_set_up = serializers.SerializerMethodField()
    is_being_deleted = serializers.SerializerMethodField()
    schedule = serializers.CharField(source="account.schedule", default=None)
    history_from = serializers.DateField(source="account.history_from", default=None)
    time_zone = serializers.CharField(source="account.time_zone", default=None)
    currency = serializers.CharField(source="account.currency", default=None)
    data_through = serializers.DateTimeField(source="account.data_through", default=None)
    next_sync_at = serializers.DateTimeField(source="account.next_sync_at", default=None)
    last_success_at = serializers.DateTimeField(source="account.last_success_at", default=None)
    last_sync = SyncSerializer(source="last_run", allow_null=True)
    billed_this_month = BilledSerializer(source="month")
    coverage = CoverageSerializer(allow_null=True)
    created_at = serializers.DateTimeField(source="connection.created_at")

    def get_settings(self, one: Any) -> dict[str, str]:
        found = one.connection.settings.items()
        return {name: value for name, value in found if not name.startswith("_")}

    def get_is_set_up(self, one: Any) -> bool:
        return one.account is not None

    def get_is_being_deleted(self, one: Any) -> bool:
        return bool(one.job_id)


class ConnectionListSerializer(serializers.Serializer[Any]):
    """An organisation has at most a hundred connections: one page."""

    results = ConnectionSerializer(many=True)


def _texts(help_text: str) -> serializers.DictField:
    return serializers.DictField(
        child=serializers.CharField(allow_blank=True, max_length=20_000, trim_whitespace=False),
        required=False,
        help_text=help_text,
    )


class ConnectionChangeSerializer(StrictSerializer):
    """What may change. New `credentials` or `settings` are saved once the provider has accepted them."""

    name = serializers.CharField(max_length=80, required=False)
    schedule = serializers.ChoiceField(choices=SyncSchedule.choices, required=False)
    history_from = serializers.DateField(required=False, help_text="First day of history")
    is_paused = serializers.BooleanField(required=False)
    settings = _texts("By the names of the provider's fields that are not secret")
    credentials = _texts("By the names of its secret fields; a name left out stays as it is")


class ConnectionCreateSerializer(StrictSerializer):
    """A new connection. Without `schedule` and `history_from` it waits for them and reads nothing."""

    provider = serializers.ChoiceField(choices=ConnectionProvider.choices)
    name = serializers.CharField(max_length=80)
    settings = _texts("By the names of the provider's fields that are not secret")
    credentials = _texts("By the names of its secret fields")
    schedule = serializers.ChoiceField(choices=SyncSchedule.choices, required=False)
    history_from = serializers.DateField(required=False, help_text="First day of history")


class CheckedSerializer(serializers.Serializer[Any]):
    """What a live check saw."""

    account_name = serializers.CharField()
    scope = serializers.CharField()
    warnings = serializers.ListField(child=serializers.CharField())


class SyncCreateSerializer(StrictSerializer):
    """Nothing: what is new and may have changed. With `first_day`: these days again, `last_day` (by default today)
    included."""

    first_day = serializers.DateField(required=False)
    last_day = serializers.DateField(required=False)


class BilledCostSerializer(serializers.ModelSerializer[BilledCost]):
    """A line of a bill; amounts have every digit."""

    connection = serializers.UUIDField(source="account.connection_id")
    quantity = AmountField(allow_null=True)
    amount = AmountField(help_text="As billed, in `currency`")
    list_amount = AmountField(allow_null=True)
    amount_usd = AmountField(allow_null=True, help_text="Null: no rate for the currency on the day")

    class Meta:
        model = BilledCost
        fields = (
            "id", "connection", "day", "starts_at", "ends_at", "source", "provider", "sub_account_id",
            "sub_account_name", "provider_key_id", "provider_key_name", "model", "service_tier", "token_class",
            "context_window", "region", "category", "description", "sku_id", "quantity", "unit", "requests", "amount",
            "list_amount", "currency", "amount_usd", "is_allocated", "revision", "fetched_at",
        )  # fmt: skip


class RevisionSerializer(serializers.ModelSerializer[BilledRevision]):
    """A correction. `before` null: the line is new on a day read before; `after` null: it is gone."""

    connection = serializers.UUIDField(source="account.connection_id")
    sync = serializers.UUIDField(source="sync_id", allow_null=True)
    before = AmountField(allow_null=True)
    after = AmountField(allow_null=True)

    class Meta:
        model = BilledRevision
        fields = (
            "id", "connection", "sync", "day", "is_usage", "subject", "before", "after", "unit", "seen_at",
        )  # fmt: skip


class MappingSerializer(StrictSerializer):
    """Where a sub-account (`key` empty), a key, or a key within a sub-account belongs."""

    sub_account = serializers.CharField(
        max_length=300, allow_blank=True, default="", trim_whitespace=False
    )
    key = serializers.CharField(max_length=200, allow_blank=True, default="", trim_whitespace=False)
    target = serializers.CharField(
        allow_blank=True,
        help_text=f"A project's id, `{OUTSIDE}` for calls that never pass LLMLab, or empty for neither",
    )


class MappingRowSerializer(serializers.Serializer[Any]):
    """A sub-account or key that the bill has named, or that is assigned."""

    sub_account = serializers.CharField(source="sub_account_id")
    sub_account_name = serializers.CharField()
    key = serializers.CharField(source="key_id")
    key_name = serializers.CharField()
    target = serializers.CharField()
    billed_usd = AmountField(source="usd", allow_null=True, help_text="Of the last ninety days")
    last_day = serializers.DateField(allow_null=True)


class MappingListSerializer(serializers.Serializer[Any]):
    """Every one of them."""

    results = MappingRowSerializer(many=True)


class MappingChangeSerializer(StrictSerializer):
    """The assignments to set; others stay."""

    mappings = MappingSerializer(many=True, allow_empty=False)
