"""Search in what was said and done: by words (tsvector) and by meaning (pgvector). Other modules import from here.

`condition(project, text)` narrows any query on Trace; `ranked` and `similar` give hits in order of relevance;
`snippets` marks the words in a page of traces; `status_of` is what the page says about the search; `forget` goes with
every deletion of traces.
"""

from traces.search.embedding import MeaningUnavailableError
from traces.search.fulltext import condition
from traces.search.purge import forget
from traces.search.ranking import MODES, Hit, Mode, ranked, similar, snippets
from traces.search.status import Reading, Status, reading, status_of
from traces.search.words import Piece, Query, parse

__all__ = [
    "MODES",
    "Hit",
    "MeaningUnavailableError",
    "Mode",
    "Piece",
    "Query",
    "Reading",
    "Status",
    "condition",
    "forget",
    "parse",
    "ranked",
    "reading",
    "similar",
    "snippets",
    "status_of",
]
