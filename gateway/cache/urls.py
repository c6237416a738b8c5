"""Pages of the caches, joined in gateway.urls."""

from django.urls import path

from gateway.cache import views

_ALL = "projects/<slug:slug>/gateway/cache/"
_ONE = f"{_ALL}<uuid:cached_id>/"
urlpatterns = [
    path(_ALL, views.cache_list, name="cache"),
    path(f"{_ALL}export.csv", views.cache_export, name="cache_export"),
    path(f"{_ALL}purge/", views.cache_purge, name="cache_purge"),
    path(f"{_ALL}thresholds/lift/", views.threshold_lift, name="cache_threshold_lift"),
    path(_ONE, views.cache_detail, name="cache_detail"),
    path(f"{_ONE}deletion/", views.cache_deletion, name="cache_deletion"),
]
