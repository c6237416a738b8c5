"""Pages of limits, joined in gateway.urls."""

from django.urls import path

from gateway.quotas import views

_ALL = "organizations/<slug:slug>/gateway/limits/"
_ONE = f"{_ALL}<uuid:gateway_limit_id>/"
urlpatterns = [
    path(_ALL, views.limit_list, name="limit_list"),
    path(f"{_ALL}export.csv", views.limit_export, name="limit_export"),
    path(f"{_ALL}new/", views.limit_create, name="limit_create"),
    path(_ONE, views.limit_detail, name="limit_detail"),
    path(f"{_ONE}edit/", views.limit_edit, name="limit_edit"),
    path(f"{_ONE}pause/", views.limit_pause, name="limit_pause"),
    path(f"{_ONE}deletion/", views.limit_deletion, name="limit_deletion"),
]
