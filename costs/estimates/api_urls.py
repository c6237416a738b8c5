"""Addresses of estimates in the API."""

from core.api.routes import endpoint
from costs.estimates import api

urlpatterns = [
    *endpoint("organizations/<slug:organization>/estimates", api.EstimateView, "estimate_api"),
    *endpoint("projects/<str:project>/estimates", api.ProjectEstimateView, "project_estimate_api"),
]
