"""Addresses of the explorer in the API."""

from core.api.routes import endpoint
from costs.explorer import api

urlpatterns = [
    *endpoint(
        "organizations/<slug:organization>/costs/explore",
        api.OrganizationExploreView,
        "organization_explore_api",
    ),
    *endpoint(
        "projects/<str:project>/costs/explore", api.ProjectExploreView, "project_explore_api"
    ),
]
