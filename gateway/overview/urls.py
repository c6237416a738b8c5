"""The gateway's first page: traffic, queue, cache, providers' health, fallbacks, limits. Joined in gateway.urls."""

from django.urls import path

from gateway.overview import views

_PAGE = "projects/<slug:slug>/gateway/"
urlpatterns = [
    path(_PAGE, views.overview, name="overview"),
    path(f"{_PAGE}panels/<slug:panel>/", views.panel, name="overview_panel"),
]
