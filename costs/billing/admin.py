"""The billed ledger for operators: rates to set, runs and corrections to look at. Credentials are never shown."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone

from core.admin import ReadOnlyAdmin
from core.errors import DomainError
from costs.billing import rate_changes
from costs.models import BilledRevision, BillingAccount, BillingMapping, CurrencyRate, ProviderSync
from projects.models import ProviderConnection

MAX_FILE = 4 << 20


class RateForm(forms.ModelForm):
    """One rate, by the rules of a file of rates."""

    class Meta:
        model = CurrencyRate
        fields = ["currency", "valid_from", "usd_per_unit", "note"]

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if not {"currency", "valid_from", "usd_per_unit"} <= set(data):
            return data
        try:
            return data | rate_changes.clean_rate(**data)
        except DomainError as error:
            raise ValidationError({error.fields[0]: error.detail}) from None


class RateFileForm(forms.Form):
    """A CSV of rates."""

    file = forms.FileField(
        label="CSV",
        help_text="Columns currency, valid_from, usd_per_unit and perhaps note; a rate of the same day is replaced.",
    )

    def clean_file(self) -> list[dict[str, Any]]:
        """The rates in it."""
        file = self.cleaned_data["file"]
        if file.size > MAX_FILE:
            raise ValidationError("The file is larger than 4 MB.")
        try:
            return rate_changes.read_csv(file.read().decode("utf-8-sig"))
        except UnicodeDecodeError:
            raise ValidationError("The file is not UTF-8 text.") from None
        except DomainError as error:
            raise ValidationError(error.detail) from None


@admin.register(CurrencyRate)
class CurrencyRateAdmin(admin.ModelAdmin):
    """What currencies are worth in US dollars, from a day on until the next rate. A change converts bills again."""

    form = RateForm
    change_list_template = "admin/costs/currencyrate/change_list.html"
    list_display = ["currency", "valid_from", "usd_per_unit", "note", "updated_at"]
    list_filter = ["currency"]
    search_fields = ["currency", "note"]
    date_hierarchy = "valid_from"
    ordering = ["currency", "-valid_from"]
    list_per_page = 100

    def save_model(self, request: HttpRequest, obj: CurrencyRate, form: Any, change: bool) -> None:
        before = form.initial.get("currency")
        super().save_model(request, obj, form, change)
        self._reconvert(request, {obj.currency, before} - {None})

    def delete_model(self, request: HttpRequest, obj: CurrencyRate) -> None:
        super().delete_model(request, obj)
        self._reconvert(request, {obj.currency})

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[CurrencyRate]) -> None:
        currencies = set(queryset.values_list("currency", flat=True))
        super().delete_queryset(request, queryset)
        self._reconvert(request, currencies)

    def _reconvert(self, request: HttpRequest, currencies: set[str]) -> None:
        started = rate_changes.reconvert(now=timezone.now(), currencies=currencies)
        if started:
            self.message_user(
                request, f"Bills of {len(started)} organisation(s) are converted again."
            )

    def get_urls(self) -> list[URLPattern]:
        own = path(
            "import/",
            self.admin_site.admin_view(self.import_view),
            name="costs_currencyrate_import",
        )
        return [own, *super().get_urls()]

    def import_view(self, request: HttpRequest) -> HttpResponse:
        """Take a CSV of rates, all of it or nothing."""
        if not self.has_add_permission(request) or not self.has_change_permission(request):
            return HttpResponse(
                "Setting rates needs the permission to add and change them.", status=403
            )
        form = RateFileForm(request.POST or None, request.FILES or None)
        if request.method == "POST" and form.is_valid():
            rates = form.cleaned_data["file"]
            started = rate_changes.set_rates(rates=rates, now=timezone.now())
            messages.success(
                request,
                f"{len(rates)} rates set; bills of {len(started)} organisation(s) are converted again.",
            )
            return redirect("admin:costs_currencyrate_changelist")
        context = {
            **self.admin_site.each_context(request),
            "title": "Import rates",
            "opts": self.model._meta,
            "form": form,
        }
        return TemplateResponse(request, "admin/costs/currencyrate/import.html", context)


@admin.register(ProviderSync)
class ProviderSyncAdmin(ReadOnlyAdmin):
    """Runs of reading bills: where each stands and, when it failed, the provider's words."""

    list_display = [
        "created_at", "organization", "account", "kind", "state", "first_day", "end_day", "next_day", "requests",
        "rows_added", "rows_changed", "rows_removed", "attempts", "short_error",
    ]  # fmt: skip
    list_filter = ["state", "kind", "account__connection__provider", "created_at"]
    list_select_related = ["organization", "account__connection"]
    search_fields = ["organization__name", "account__connection__name", "error"]
    ordering = ["-id"]

    @admin.display(description="error")
    def short_error(self, run: ProviderSync) -> str:
        return run.error[:120]


@admin.register(BillingAccount)
class BillingAccountAdmin(ReadOnlyAdmin):
    """Which bills are read, how often, and how they stand."""

    list_display = [
        "connection", "organization", "provider", "status", "schedule", "history_from", "next_sync_at",
        "last_success_at", "failures_in_a_row", "currency",
    ]  # fmt: skip
    list_filter = ["connection__provider", "connection__status", "schedule"]
    list_select_related = ["organization", "connection"]
    search_fields = ["organization__name", "connection__name"]
    ordering = ["-created_at"]

    @admin.display(ordering="connection__provider")
    def provider(self, account: BillingAccount) -> str:
        return account.connection.get_provider_display()

    @admin.display(ordering="connection__status")
    def status(self, account: BillingAccount) -> str:
        return account.connection.get_status_display()


@admin.register(ProviderConnection)
class ProviderConnectionAdmin(ReadOnlyAdmin):
    """Connections; of their credentials only the hint that people recognise them by."""

    list_display = ["name", "organization", "provider", "status", "hint", "verified_at"]
    list_filter = ["provider", "status"]
    list_select_related = ["organization"]
    search_fields = ["name", "organization__name"]
    ordering = ["-created_at"]
    exclude = ["credentials"]


@admin.register(BilledRevision)
class BilledRevisionAdmin(ReadOnlyAdmin):
    """What providers corrected after it had been read."""

    list_display = [
        "seen_at",
        "organization",
        "account",
        "day",
        "is_usage",
        "subject",
        "before",
        "after",
        "unit",
    ]
    list_filter = ["is_usage", "seen_at"]
    list_select_related = ["organization", "account__connection"]
    search_fields = ["subject", "organization__name", "account__connection__name"]
    ordering = ["-id"]


@admin.register(BillingMapping)
class BillingMappingAdmin(ReadOnlyAdmin):
    """Whose calls a provider's sub-accounts and keys carry."""

    list_display = ["account", "sub_account_id", "provider_key_id", "project", "is_outside"]
    list_filter = ["is_outside"]
    list_select_related = ["account__connection", "project"]
    search_fields = ["sub_account_id", "provider_key_id", "project__name"]
    ordering = ["-id"]
