"""Where calls go, what holds for a project's calls, and by what a process knows that either changed."""

from django.db import models
from django.db.models.functions import Lower

from accounts.models import Organization, User
from core.base_models import TimestampedModel, UUIDModel
from projects.models import Project


class Route(UUIDModel, TimestampedModel):
    """A name that clients send as `model`, and where such calls go. `*` takes every model no other route names."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="gateway_routes")
    name = models.CharField(max_length=120)
    note = models.CharField(max_length=500, blank=True)
    is_enabled = models.BooleanField(default=True)
    # gateway.structs.RouteRules as JSON.
    rules = models.JSONField(default=dict)
    version = models.PositiveIntegerField(default=1)
    updated_by = models.ForeignKey(
        User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    class Meta:
        constraints = [models.UniqueConstraint("project", Lower("name"), name="gateway_route_name")]

    def __str__(self) -> str:
        return self.name


class GatewaySettings(TimestampedModel):
    """What holds for all calls of a project. One row at most; without one the defaults of ProjectRules."""

    project = models.OneToOneField(
        Project, on_delete=models.CASCADE, primary_key=True, related_name="gateway_settings"
    )
    # gateway.structs.ProjectRules as JSON.
    rules = models.JSONField(default=dict)
    updated_by = models.ForeignKey(
        User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    def __str__(self) -> str:
        return str(self.project_id)


class ConfigVersion(models.Model):
    """Grows with every change of connections, keys, routes, limits or settings: processes keep what they read until
    it does (gateway.snapshot)."""

    organization = models.OneToOneField(
        Organization, on_delete=models.CASCADE, primary_key=True, related_name="+"
    )
    version = models.BigIntegerField(default=1)

    def __str__(self) -> str:
        return f"{self.organization_id} v{self.version}"
