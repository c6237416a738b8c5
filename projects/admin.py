"""Projects and keys for operators. Hashes are never shown; deleting goes through the product, which
purges.
"""

from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from accounts.selectors import person
from projects import services
from projects.models import ApiKey, Project

KEY_FIELDS: Any = [
    "prefix",
    "name",
    "project",
    "scopes",
    "created_by",
    "created_at",
    "last_used_at",
    "expires_at",
    "revoked_at",
    "rotated_to",
]


@admin.register(Project)
class ProjectAdmin(admin.ModelAdmin):
    list_display = [
        "name",
        "slug",
        "organization",
        "status",
        "key_count",
        "first_trace_at",
        "created_at",
    ]
    list_filter = ["status", "created_at", "first_trace_at"]
    list_select_related = ["organization"]
    search_fields = ["name", "slug", "id", "organization__name"]
    date_hierarchy = "created_at"
    ordering = ["-created_at"]
    fields = [
        "id",
        "organization",
        "name",
        "slug",
        "status",
        "first_trace_at",
        "created_at",
        "updated_at",
    ]
    readonly_fields = [
        "id",
        "organization",
        "slug",
        "status",
        "first_trace_at",
        "created_at",
        "updated_at",
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Project]:
        usable = Count("api_keys", filter=Q(api_keys__revoked_at=None))
        projects: QuerySet[Project] = super().get_queryset(request)
        return projects.annotate(usable_keys=usable)

    @admin.display(ordering="usable_keys", description="Keys")
    def key_count(self, project: Any) -> int:
        return int(project.usable_keys)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Project | None = None) -> bool:
        return False


@admin.register(ApiKey)
class ApiKeyAdmin(admin.ModelAdmin):
    """Find a leaked key by its prefix and revoke it."""

    list_display = [
        "prefix",
        "name",
        "project",
        "organization",
        "scopes",
        "last_used_at",
        "expires_at",
        "revoked_at",
    ]
    list_filter = ["revoked_at", "expires_at", "last_used_at"]
    list_select_related = ["project__organization"]
    search_fields = [
        "prefix",
        "name",
        "project__name",
        "project__slug",
        "project__organization__name",
    ]
    date_hierarchy = "created_at"
    ordering = ["-created_at"]
    actions = ["revoke"]
    fields = KEY_FIELDS
    readonly_fields = KEY_FIELDS

    @admin.display(description="Organisation", ordering="project__organization__name")
    def organization(self, key: ApiKey) -> str:
        return key.project.organization.name

    @admin.action(description="Revoke selected keys", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        keys = list(queryset.select_related("project").order_by("pk"))
        for key in keys:
            services.revoke_api_key(
                project=key.project,
                key=key,
                now=timezone.now(),
                actor=person(request),
            )
        self.message_user(request, f"{len(keys)} keys are revoked.", messages.SUCCESS)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        return False
