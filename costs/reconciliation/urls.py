"""Pages of reconciliation."""

from django.urls import path

from costs.reconciliation import views

_BASE = "organizations/<slug:slug>/reconciliation/"
urlpatterns = [
    path(_BASE, views.overview, name="reconciliation"),
    path(f"{_BASE}export.csv", views.export, name="reconciliation_export"),
    path(f"{_BASE}runs/", views.run_create, name="reconciliation_run_create"),
    path(f"{_BASE}prices/", views.price_checks, name="reconciliation_prices"),
    path(f"{_BASE}cells/<int:recon_cell>/", views.cell, name="reconciliation_cell"),
    path(
        f"{_BASE}<str:recon_provider>/<str:recon_month>/", views.month, name="reconciliation_month"
    ),
]
