"""What people added to a trace goes with it: scores, comments, links. Collections keep the entry, marked missing."""

from collections.abc import Sequence
from uuid import UUID

from traces.models import Comment, CommentMention, Score, ShareLink


def forget_traces(*, project_id: UUID, trace_ids: Sequence[str]) -> None:
    """Delete the scores, comments and links of these traces; call it in the transaction that deletes them.

    Four statements, whatever their number.
    """
    wanted = {"project": project_id, "trace_id__in": list(trace_ids)}
    comments = Comment.objects.filter(**wanted)
    CommentMention.objects.filter(comment__in=comments)._raw_delete("default")
    comments._raw_delete("default")
    ShareLink.objects.filter(**wanted)._raw_delete("default")
    Score.objects.filter(**wanted)._raw_delete("default")
