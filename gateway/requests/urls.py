"""Pages of requests, joined in gateway.urls."""

from django.urls import path

from gateway.requests import views

_ALL = "projects/<slug:slug>/gateway/requests/"
urlpatterns = [
    path(_ALL, views.request_list, name="request_list"),
    path(f"{_ALL}now/", views.request_now, name="request_now"),
    path(f"{_ALL}export.csv", views.request_export, name="request_export"),
    path(f"{_ALL}<uuid:request_id>/", views.request_detail, name="request_detail"),
]
