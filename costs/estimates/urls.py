"""Addresses of the calculator."""

from django.urls import path

from costs.estimates import views

_BASE = "organizations/<slug:slug>/costs/calculator/"
urlpatterns = [
    path(_BASE, views.calculator, name="calculator"),
    path(f"{_BASE}export.csv", views.calculator_export, name="calculator_export"),
]
