"""Addresses of forecasts and anomalies in the API."""

from core.api.routes import endpoint
from costs.forecasting import api

_ONE = "organizations/<slug:organization>/anomalies/<uuid:anomaly>"
urlpatterns = [
    *endpoint("organizations/<slug:organization>/forecasts", api.ForecastListView, "forecast_list_api"),
    *endpoint("organizations/<slug:organization>/anomalies", api.AnomalyListView, "anomaly_list_api"),
    *endpoint(_ONE, api.AnomalyView, "anomaly_api"),
    *endpoint(f"{_ONE}/expectation", api.AnomalyExpectationView, "anomaly_expectation_api"),
    *endpoint("projects/<str:project>/forecasts", api.ProjectForecastListView, "project_forecast_list_api"),
    *endpoint("projects/<str:project>/anomalies", api.ProjectAnomalyListView, "project_anomaly_list_api"),
]  # fmt: skip
