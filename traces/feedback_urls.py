"""Pages of scores, comments, public links and collections."""

from django.urls import path

from traces.views import collections, feedback, score_pages, score_settings, share_pages, shared

_P = "projects/<str:slug>/"
_T = f"{_P}traces/<str:trace_id>/"
_C = f"{_P}collections/"
_S = "share/<str:token>/"
urlpatterns = [
    path(f"{_T}feedback/", feedback.trace_feedback, name="trace_feedback"),
    path(f"{_T}feedback/scores/", feedback.scores_part, name="scores_part"),
    path(f"{_T}feedback/comments/", feedback.comments_part, name="comments_part"),
    path(f"{_T}scores/", feedback.annotation_set, name="annotation_set"),
    path(f"{_T}scores/undo/", feedback.annotation_undo, name="annotation_undo"),
    path(f"{_T}scores/<str:score_id>/deletion/", feedback.score_delete, name="score_delete"),
    path(f"{_T}comments/", feedback.comment_create, name="comment_create"),
    path(f"{_T}comments/<uuid:comment_id>/", feedback.comment_edit, name="comment_edit"),
    path(
        f"{_T}comments/<uuid:comment_id>/deletion/", feedback.comment_delete, name="comment_delete"
    ),
    path(
        f"{_T}comments/<uuid:comment_id>/resolution/",
        feedback.comment_resolve,
        name="comment_resolve",
    ),
    path(f"{_T}shares/", share_pages.trace_shares, name="trace_shares"),
    path(f"{_P}scores/", score_pages.score_list, name="score_list"),
    path(f"{_P}scores/panels/summary/", score_pages.summary_panel, name="score_summary_panel"),
    path(f"{_P}scores/panels/scores.csv", score_pages.score_csv, name="score_csv"),
    path(f"{_P}dashboard/panels/feedback/", score_pages.feedback_panel, name="feedback_panel"),
    path(f"{_P}settings/scores/", score_settings.definition_list, name="definition_list"),
    path(
        f"{_P}settings/scores/<uuid:definition_id>/",
        score_settings.definition_edit,
        name="definition_edit",
    ),
    path(
        f"{_P}settings/scores/<uuid:definition_id>/archive/",
        score_settings.definition_archive,
        name="definition_archive",
    ),
    path(
        f"{_P}settings/scores/<uuid:definition_id>/deletion/",
        score_settings.definition_delete,
        name="definition_delete",
    ),
    path(f"{_P}settings/shares/", share_pages.share_list, name="share_list"),
    path(
        f"{_P}settings/shares/<uuid:link_id>/revocation/",
        share_pages.share_revoke,
        name="share_revoke",
    ),
    path(_C, collections.collection_list, name="collection_list"),
    path(f"{_C}items/", collections.item_add, name="collection_item_add"),
    path(f"{_C}<uuid:collection_id>/", collections.collection_detail, name="collection_detail"),
    path(
        f"{_C}<uuid:collection_id>/deletion/",
        collections.collection_delete,
        name="collection_delete",
    ),
    path(
        f"{_C}<uuid:collection_id>/items/<uuid:item_id>/",
        collections.item_edit,
        name="collection_item_edit",
    ),
    path(
        f"{_C}<uuid:collection_id>/items/<uuid:item_id>/deletion/",
        collections.item_delete,
        name="collection_item_delete",
    ),
    path(
        f"{_C}<uuid:collection_id>/export.jsonl",
        collections.collection_export,
        name="collection_export",
    ),
    path(_S, shared.share_detail, name="share_detail"),
    path(f"{_S}rows/", shared.share_rows, name="share_rows"),
    path(f"{_S}changes/", shared.share_changes, name="share_changes"),
    path(f"{_S}find/", shared.share_find, name="share_find"),
    path(f"{_S}steps/<str:span_id>/", shared.share_step, name="share_step"),
    path(f"{_S}models/", shared.share_models, name="share_models"),
    path(f"{_S}steps/<str:span_id>/payload/", shared.share_payload, name="share_payload"),
    path(f"{_S}steps/<str:span_id>/media/<int:number>/", shared.share_media, name="share_media"),
]
