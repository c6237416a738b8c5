"""Fails a test whose application code reads or changes a growing tenant table without naming the tenant (TEN-07).

Every table below carries `project_id`. A SELECT, UPDATE or DELETE on one must say which project, once per mention of a
table: by a parameter, by a subquery, or by equality with another mention that does. Queries written by tests are free.
"""

import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from django.db import connections
from django.db.backends.signals import connection_created

ROOT = str(Path(__file__).resolve().parents[1])
TABLES = (
    "traces_trace",
    "traces_span",
    "traces_spanpayload",
    "traces_score",
    "traces_ingesttally",
    "traces_ingestsample",
    "traces_langfuseitem",
    "traces_savedview",
    "traces_searchdocument",
    "traces_traceembedding",
    "traces_sessionrow",
    "traces_userrow",
    "traces_errorgroup",
    "traces_errortrace",
    "traces_scoredefinition",
    "traces_comment",
    "traces_sharelink",
    "traces_collection",
    "traces_collectionitem",
    "traces_wasteday",
    "traces_wastefinding",
    "costs_costrecord",
    "costs_costaggregate",
    "costs_costdailyaggregate",
    "costs_costday",
    "costs_minutesum",
    "costs_reconciledfacts",
    "costs_dayfacts",
    "costs_projectusage",
    "gateway_llmrequest",
    "gateway_asyncjob",
    "gateway_batch",
    "gateway_providerfile",
    "gateway_cachedresponse",
    "gateway_shadowcheck",
    "gateway_callsum",
    "projects_apikey",
)
# Whose code a frame is: nothing below these is the application's.
NOT_APPLICATION = ("tests/", "benchmarks/", ".venv/", "manage.py", "core/prepared.py")
# (file, function) -> why this query may see every tenant. "*" stands for every function of the file.
ALLOWED = {
    ("projects/authentication.py", "authenticate_key"): "the key's hash is what names the tenant",
    ("projects/authentication.py", "_note_use"): "the row that the key's hash found, by its id",
    ("projects/management/commands/init_llmlab.py", "*"): "an operator's own key, by its hash",
    (
        "projects/selectors.py",
        "project_list",
    ): "one subquery per listed project, joined to the person's memberships",
    ("projects/keys.py", "rotate_api_key"): "saves the row it has locked through its project",
    ("projects/keys.py", "revoke_api_key"): "saves the row it has locked through its project",
    (
        "projects/settings_views.py",
        "api_key_rotate",
    ): "refreshes the key it has found in its project",
    (
        "projects/purge.py",
        "_delete_project",
    ): "the keys Django collected from the project being deleted",
    ("traces/feedback/shares.py", "find_share_link"): "the token's hash is what names the tenant",
    ("gateway/batches/looking.py", "send_due"): "due batches of all projects, names only",
    ("gateway/requests/sweeping.py", "sweep"): "expired jobs of all projects, and only those",
    ("gateway/requests/sweeping.py", "_end_late"): "jobs past their deadline, of all projects",
    ("gateway/requests/sweeping.py", "_push_lost"): "due jobs of all projects",
    ("gateway/requests/sweeping.py", "_take_back"): "jobs whose lease lapsed, of all projects",
    ("gateway/requests/telling.py", "claim"): "the webhook that is due longest, of all projects",
    ("gateway/requests/telling.py", "_soonest"): "when the next webhook is due, of any project",
    ("gateway/cache/emptying.py", "sweep"): "expired answers of all projects, and only those",
    ("gateway/cache/emptying.py", "cap"): "each project's answers beyond its own cap",
    ("gateway/sums/forgetting.py", "forget_old"): "sums too old, of all projects",
    ("costs/admin.py", "ledger_lag"): "the operator's system page",
}
OPERATORS = (
    "django/contrib/admin/"  # operators see every tenant there; the route matrix keeps others out
)

_names = "|".join(TABLES)
_MENTION = re.compile(
    rf'\b(?:FROM|JOIN|UPDATE|USING)\s+(?:ONLY\s+)?"?(?:{_names})"?(?=[\s)]|$)', re.IGNORECASE
)
_COLUMN = r'(?:"?\w+"?\.)?"?project_id"?'
_CONDITION = re.compile(
    rf"{_COLUMN}\s*=\s*(?:%|ANY|\({{0,2}}\s*(?:%|SELECT))"  # = %s, = ANY(%s), = (SELECT …)
    rf"|{_COLUMN}\s+IN\s*\(\s*(?:%|SELECT)"
    rf"|{_COLUMN}\s*=\s*\(?{_COLUMN}"  # the same project as another mention
    rf"|\(\s*{_COLUMN}\s*,[^)]*\)\s+IN\s*\(\s*(?:%|\(|SELECT\s+{_COLUMN})"  # composite keys
    rf"|\(\s*{_COLUMN}\s*,[^)]*\)\s*=\s*\(\s*%"
    r"|\bctid\s*=\s*ANY\s*\(\s*ARRAY\s*\(\s*SELECT\s+ctid",  # rows that the inner query chose
    re.IGNORECASE,
)
_CHECKED = re.compile(r"\s*(?:SELECT|UPDATE|DELETE|WITH)\b", re.IGNORECASE)


class Violation(NamedTuple):
    """Where a query without its tenant came from."""

    file: str
    line: int
    function: str
    sql: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line} in {self.function}: {' '.join(self.sql.split())[:600]}"


def names_its_tenant(sql: str) -> bool:
    """Whether each mention of a tenant table has a condition on the project."""
    if not _CHECKED.match(sql):
        return True
    mentions = len(_MENTION.findall(sql))
    return mentions == 0 or len(_CONDITION.findall(sql)) >= mentions


def _application_frame(frame: FrameType | None) -> tuple[FrameType | None, bool]:
    """The innermost frame of the application, and whether Django's admin is on the stack."""
    found, is_operator = None, False
    while frame is not None:
        path = frame.f_code.co_filename
        if OPERATORS in path:
            is_operator = True
        elif found is None and path.startswith(f"{ROOT}/"):
            relative = path[len(ROOT) + 1 :]
            if not relative.startswith(NOT_APPLICATION):
                found = frame
        frame = frame.f_back
    return found, is_operator


class TenantGuard:
    """An execute wrapper that remembers what it objects to."""

    def __init__(self) -> None:
        self.found: list[Violation] = []

    def __call__(self, execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
        if isinstance(sql, str) and not names_its_tenant(sql):
            self._look(sql)
        return execute(sql, params, many, context)

    def _look(self, sql: str) -> None:
        frame, is_operator = _application_frame(sys._getframe(2))
        if frame is None or is_operator:
            return
        file = frame.f_code.co_filename[len(ROOT) + 1 :]
        function = frame.f_code.co_name
        if (file, function) not in ALLOWED and (file, "*") not in ALLOWED:
            self.found.append(Violation(file, frame.f_lineno, function, sql))


@contextmanager
def guarding() -> Iterator[TenantGuard]:
    """Watches this thread's connection and every one opened meanwhile, other threads' included."""
    guard = TenantGuard()
    opened: list[Any] = []

    def watch(connection: Any, **_: Any) -> None:
        if guard not in connection.execute_wrappers:
            connection.execute_wrappers.append(guard)
            opened.append(connection)

    with ExitStack() as stack:
        stack.enter_context(connections["default"].execute_wrapper(guard))
        connection_created.connect(watch, weak=False)
        try:
            yield guard
        finally:
            connection_created.disconnect(watch)
            for connection in opened:
                connection.execute_wrappers.remove(guard)
