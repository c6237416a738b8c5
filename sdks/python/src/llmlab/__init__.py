"""LLMLab: every LLM call, its cost and its agent steps, without slowing or breaking your program.

from llmlab import LLMLab, trace

llm = LLMLab(api_key="llmlab_sk_…", project="my_project")   # or LLMLAB_API_KEY, LLMLAB_PROJECT
llm.instrument()

@trace(name="answer", tags=["support"])
def answer(question): ...
"""

from llmlab.budgets import BudgetExceeded
from llmlab.client import LLMLab, current_client
from llmlab.context import current_step, current_trace_id, propagate
from llmlab.propagation import extract, inject
from llmlab.server_budgets import ServerBudget
from llmlab.step import Step
from llmlab.tracing import (
    budget,
    generation,
    retrieval,
    score,
    span,
    tool,
    trace,
    update_current,
)
from llmlab.version import __version__

__all__ = [
    "BudgetExceeded",
    "LLMLab",
    "ServerBudget",
    "Step",
    "__version__",
    "budget",
    "current_client",
    "current_step",
    "current_trace_id",
    "extract",
    "generation",
    "inject",
    "propagate",
    "retrieval",
    "score",
    "span",
    "tool",
    "trace",
    "update_current",
]
