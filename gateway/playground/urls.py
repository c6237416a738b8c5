"""Pages of the playground, joined in gateway.urls."""

from django.urls import URLPattern, path

from gateway.playground import views

_PAGE = "projects/<slug:slug>/gateway/playground/"
_RUN = f"{_PAGE}runs/<uuid:request_id>/"
urlpatterns: list[URLPattern] = [
    path(_PAGE, views.playground, name="playground"),
    path(f"{_PAGE}passes/", views.pass_create, name="playground_pass"),
    path(f"{_PAGE}runs/", views.run_list, name="playground_runs"),
    path(_RUN, views.run_detail, name="playground_run"),
    path(f"{_RUN}saving/", views.run_save, name="playground_save"),
]
