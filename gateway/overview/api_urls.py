"""The overview's address in the API, joined in gateway.api_urls."""

from core.api.routes import endpoint
from gateway.overview import api

urlpatterns = endpoint(
    "projects/<str:project>/gateway/overview", api.OverviewView, "gateway_overview_api"
)
