"""Addresses of scores, comments, links and collections in the API."""

from core.api.routes import endpoint
from traces.feedback_api import collections, comments, definitions, scores, shares

_P = "projects/<str:project>"
_C = f"{_P}/collections/<uuid:collection>"
urlpatterns = [
    *endpoint(f"{_P}/scores", scores.ScoreListView, "score_list_api"),
    *endpoint(f"{_P}/scores/<str:score>", scores.ScoreDetailView, "score_detail_api"),
    *endpoint(f"{_P}/score-definitions", definitions.DefinitionListView, "definition_list_api"),
    *endpoint(
        f"{_P}/score-definitions/<uuid:definition>",
        definitions.DefinitionDetailView,
        "definition_detail_api",
    ),
    *endpoint(f"{_P}/traces/<str:trace_id>/comments", comments.CommentListView, "comment_list_api"),
    *endpoint(f"{_P}/comments/<uuid:comment>", comments.CommentDetailView, "comment_detail_api"),
    *endpoint(f"{_P}/shares", shares.ShareListView, "share_list_api"),
    *endpoint(f"{_P}/shares/<uuid:share>", shares.ShareDetailView, "share_detail_api"),
    *endpoint(f"{_P}/collections", collections.CollectionListView, "collection_list_api"),
    *endpoint(_C, collections.CollectionDetailView, "collection_detail_api"),
    *endpoint(f"{_C}/items", collections.ItemListView, "item_list_api"),
    *endpoint(f"{_C}/items/<uuid:item>", collections.ItemDetailView, "item_detail_api"),
    *endpoint(f"{_C}/export", collections.CollectionExportView, "collection_export_api"),
]
