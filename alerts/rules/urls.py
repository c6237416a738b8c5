"""Pages of rules, joined in alerts.urls."""

from django.urls import path

from alerts.rules import act_views, budget_panel, edit_views, views

_RULES = "organizations/<slug:slug>/alerts/rules/"
_ONE = f"{_RULES}<uuid:alert_id>/"
urlpatterns = [
    path(_RULES, views.rule_list, name="rule_list"),
    path(f"{_RULES}export.csv", views.rule_export, name="rule_export"),
    path(f"{_RULES}selected/", act_views.rules_selected, name="rules_selected"),
    path(f"{_RULES}recommended/", act_views.rules_recommended, name="rules_recommended"),
    path(f"{_RULES}new/", edit_views.rule_create, name="rule_create"),
    path(_ONE, views.rule_detail, name="rule_detail"),
    path(f"{_ONE}edit/", edit_views.rule_edit, name="rule_edit"),
    path(f"{_ONE}enabled/", act_views.rule_enabled, name="rule_enabled"),
    path(f"{_ONE}mute/", act_views.rule_mute, name="rule_mute"),
    path(f"{_ONE}test/", act_views.rule_test, name="rule_test"),
    path(f"{_ONE}deletion/", act_views.rule_deletion, name="rule_deletion"),
    path(
        "organizations/<slug:slug>/alerts/panels/budget/<uuid:budget_id>/",
        budget_panel.budget_alerts_panel,
        name="budget_alerts_panel",
    ),
]
