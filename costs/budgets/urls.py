"""Pages of budgets, joined in costs.urls."""

from django.urls import path

from costs.budgets import views

_BUDGETS = "organizations/<slug:slug>/budgets/"
_ONE = f"{_BUDGETS}<uuid:budget_id>/"
urlpatterns = [
    path(_BUDGETS, views.budget_list, name="budget_list"),
    path(f"{_BUDGETS}export.csv", views.budget_export, name="budget_export"),
    path(f"{_BUDGETS}new/", views.budget_create, name="budget_create"),
    path(_ONE, views.budget_detail, name="budget_detail"),
    path(f"{_ONE}edit/", views.budget_edit, name="budget_edit"),
    path(f"{_ONE}pause/", views.budget_pause, name="budget_pause"),
    path(f"{_ONE}deletion/", views.budget_deletion, name="budget_deletion"),
    path("projects/<slug:slug>/dashboard/panels/budget/", views.budget_panel, name="budget_panel"),
]
