"""Pages of batches, joined in gateway.urls."""

from django.urls import path

from gateway.batches import views

_ALL = "projects/<slug:slug>/gateway/batches/"
urlpatterns = [
    path(_ALL, views.batch_list, name="batch_list"),
    path(f"{_ALL}export.csv", views.batch_export, name="batch_export"),
    path(f"{_ALL}<uuid:gateway_batch_id>/cancel/", views.batch_cancel, name="batch_cancel"),
]
