"""Addresses of the caches in the API, joined in gateway.api_urls."""

from core.api.routes import endpoint
from gateway.cache import api

_ALL = "projects/<str:project>/gateway/cache"
urlpatterns = [
    *endpoint(_ALL, api.CacheListView, "gateway_cache_list_api"),
    *endpoint(f"{_ALL}/figures", api.CacheFiguresView, "gateway_cache_figures_api"),
    *endpoint(f"{_ALL}/thresholds", api.CacheThresholdView, "gateway_cache_threshold_api"),
    *endpoint(f"{_ALL}/<uuid:cached>", api.CacheEntryView, "gateway_cache_api"),
]
