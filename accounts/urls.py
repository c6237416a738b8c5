"""Pages about people and organisations (allauth's own are under /accounts/)."""

from django.urls import path

from accounts import views

app_name = "accounts"
urlpatterns = [
    path("me/", views.profile, name="profile"),
    path("me/appearance/", views.appearance, name="appearance"),
    path("organizations/new/", views.organization_create, name="organization_create"),
    path("organizations/<slug:slug>/members/", views.member_list, name="member_list"),
    path(
        "organizations/<slug:slug>/members/<uuid:member_id>/",
        views.member_change,
        name="member_change",
    ),
    path(
        "organizations/<slug:slug>/members/<uuid:member_id>/removal/",
        views.member_remove,
        name="member_remove",
    ),
    path(
        "organizations/<slug:slug>/invitations/<uuid:invitation_id>/revocation/",
        views.invitation_revoke,
        name="invitation_revoke",
    ),
    path(
        "organizations/<slug:slug>/settings/",
        views.organization_settings,
        name="organization_settings",
    ),
    path(
        "organizations/<slug:slug>/switch/", views.organization_switch, name="organization_switch"
    ),
    path("invitations/<str:token>/", views.invitation_detail, name="invitation_detail"),
    path("invitations/<str:token>/acceptance/", views.invitation_accept, name="invitation_accept"),
]
