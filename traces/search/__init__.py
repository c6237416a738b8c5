"""Search in what was said and done: by words (tsvector) and by meaning (pgvector). Other modules import from here.

`condition(project, text)` narrows any query on Trace. A text of no word matches nothing.
"""

from traces.search.fulltext import condition

__all__ = ["condition"]
