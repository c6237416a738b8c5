"""Pages of forecasts and anomalies, joined in costs.urls."""

from django.urls import path

from costs.forecasting import views

_FORECAST = "organizations/<slug:slug>/costs/forecast/"
_ANOMALIES = "organizations/<slug:slug>/costs/anomalies/"
_ONE = f"{_ANOMALIES}<uuid:anomaly_id>/"
urlpatterns = [
    path(_FORECAST, views.forecast_list, name="forecast_list"),
    path(f"{_FORECAST}export.csv", views.forecast_export, name="forecast_export"),
    path(f"{_FORECAST}refresh/", views.forecast_refresh, name="forecast_refresh"),
    path(f"{_FORECAST}<uuid:forecast_id>/", views.forecast_detail, name="forecast_detail"),
    path("projects/<slug:slug>/forecast/", views.forecast_of_project, name="forecast_of_project"),
    path(_ANOMALIES, views.anomaly_list, name="anomaly_list"),
    path(f"{_ANOMALIES}export.csv", views.anomaly_export, name="anomaly_export"),
    path(_ONE, views.anomaly_detail, name="anomaly_detail"),
    path(f"{_ONE}expectation/", views.anomaly_expectation, name="anomaly_expectation"),
]
