"""People, organisations and the audit trail for operators. The login is allauth's: its rate limits
and stages apply.
"""

from typing import Any

from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import BaseUserCreationForm
from django.contrib.auth.models import Group
from django.db.models import Count, QuerySet
from django.http import HttpRequest

from accounts.models import AuditEvent, Invitation, Membership, Organization, User

admin.site.site_header = "LLMLab operators"
admin.site.site_title = "LLMLab"
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]
admin.site.unregister(Group)


class UserCreationForm(BaseUserCreationForm):
    """E-mail instead of a user name."""

    class Meta:
        model = User
        fields = ["email", "name"]
        field_classes: dict[str, Any] = {}


class MembershipInline(admin.TabularInline):
    model = Membership
    extra = 0
    autocomplete_fields = ["user", "organization"]
    show_change_link = True


@admin.register(User)
class UserAdmin(DjangoUserAdmin):
    """Switch people off and on, reset passwords, make operators."""

    add_form = UserCreationForm
    list_display = ["email", "name", "is_active", "is_staff", "date_joined", "last_login"]
    list_filter = ["is_active", "is_staff", "is_superuser", "date_joined"]
    search_fields = ["email", "name"]
    ordering = ["-date_joined"]
    date_hierarchy = "date_joined"
    filter_horizontal = []
    readonly_fields = ["date_joined", "last_login"]
    inlines = [MembershipInline]
    fieldsets = [
        (None, {"fields": ["email", "name", "password"]}),
        ("Access", {"fields": ["is_active", "is_staff", "is_superuser"]}),
        ("Dates", {"fields": ["date_joined", "last_login"]}),
    ]
    add_fieldsets = [
        (None, {"classes": ["wide"], "fields": ["email", "name", "password1", "password2"]})
    ]


@admin.register(Organization)
class OrganizationAdmin(admin.ModelAdmin):
    """Tenants. They are made by sign-up or `init_llmlab`, because each needs its own data key."""

    list_display = ["name", "slug", "member_count", "project_count", "is_demo", "created_at"]
    list_filter = ["is_demo", "created_at"]
    search_fields = ["name", "slug", "id"]
    date_hierarchy = "created_at"
    ordering = ["-created_at"]
    readonly_fields = ["id", "created_at", "updated_at"]
    inlines = [MembershipInline]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Organization]:
        organizations: QuerySet[Organization] = super().get_queryset(request)
        return organizations.annotate(
            members=Count("memberships", distinct=True),
            project_total=Count("projects", distinct=True),
        )

    @admin.display(ordering="members", description="Members")
    def member_count(self, organization: Any) -> int:
        return int(organization.members)

    @admin.display(ordering="project_total", description="Projects")
    def project_count(self, organization: Any) -> int:
        return int(organization.project_total)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False


@admin.register(Membership)
class MembershipAdmin(admin.ModelAdmin):
    list_display = ["user", "organization", "role", "created_at"]
    list_filter = ["role", "created_at"]
    list_select_related = ["user", "organization"]
    search_fields = ["user__email", "organization__name", "organization__slug"]
    autocomplete_fields = ["user", "organization"]
    date_hierarchy = "created_at"
    ordering = ["-created_at"]


@admin.register(Invitation)
class InvitationAdmin(admin.ModelAdmin):
    """Read and withdraw (set `revoked_at`); the link's token is not stored."""

    list_display = [
        "email",
        "organization",
        "role",
        "invited_by",
        "expires_at",
        "accepted_at",
        "revoked_at",
    ]
    list_filter = ["role", "accepted_at", "revoked_at"]
    list_select_related = ["organization", "invited_by"]
    search_fields = ["email", "organization__name"]
    date_hierarchy = "created_at"
    ordering = ["-created_at"]
    fields = [
        "email",
        "organization",
        "role",
        "invited_by",
        "expires_at",
        "accepted_at",
        "revoked_at",
    ]
    readonly_fields = ["email", "organization", "role", "invited_by", "expires_at", "accepted_at"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False


class AreaFilter(admin.SimpleListFilter):
    """The first word of an action; a fixed list, because DISTINCT over the whole trail is slow."""

    title = "area"
    parameter_name = "area"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        areas = ["organization", "member", "invitation", "project", "api_key"]
        return [(area, area) for area in areas]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[AuditEvent]
    ) -> QuerySet[AuditEvent]:
        return queryset.filter(action__startswith=f"{self.value()}.") if self.value() else queryset


@admin.register(AuditEvent)
class AuditEventAdmin(admin.ModelAdmin):
    """Read only: nobody edits what happened."""

    list_display = ["created_at", "organization", "actor_label", "action", "target"]
    list_filter = [AreaFilter, "created_at"]
    list_select_related = ["organization"]
    search_fields = ["actor_label", "action", "target", "organization__name"]
    date_hierarchy = "created_at"
    ordering = ["-id"]
    list_per_page = 50
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: AuditEvent | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: AuditEvent | None = None) -> bool:
        return False
