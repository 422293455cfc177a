"""Run the projection over a scope of facts: those just appended, or all of them page by page in a rebuild.

A scope (`scope.py`) is put in front of each statement of `fold.sql`; there is no second implementation of any rule.
It needs a Writer inside a transaction, or a private copy of a store.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from functools import cache, lru_cache, partial

from failaware.derive.assign import PAGE, Finder, assign_clusters, merge
from failaware.derive.corrections import load_corrections, merged_clusters, renamed
from failaware.derive.grouping.groups import GroupingRules, Subject, group
from failaware.derive.scope import NONE_FAILS_AGAIN, STATEMENTS, Scope, just_appended
from failaware.derive.settings import load_grouping, load_policy, note_derivation, save_grouping, save_policy
from failaware.derive.severity import CLUSTER_EVIDENCE, CLUSTER_NUMBERS, case, cluster_reason
from failaware.engine import ProjectionWriter, Reader
from failaware.engine.pages import pages
from failaware.engine.settled import settled_event
from failaware.errors import StoreBusy
from failaware.model import NEVER
from failaware.rules import Policy
from failaware.schema.catalogue import ERASED
from failaware.schema.ddl import tables_of

_SQL = dict(STATEMENTS)
_SQL["update_event_state"] = _SQL["update_event_state"].format(
    event_severity=case("event", "severity"), event_rule=case("event", "name")
)
_RELAPSES = partial(_SQL["count_relapses"].format, none_fails_again=NONE_FAILS_AGAIN)
_SQL["count_relapses"] = _RELAPSES(parts="", part="c.part_id")
_SQL["count_merged_relapses"] = _RELAPSES(
    parts="CROSS JOIN cluster_part p", part="p.part_id AND p.cluster_id = c.cluster_id AND c.part_id IS NULL"
)

_REBUILD_PAGES = {
    "event": 20_000,
    "attempt": 20_000,
    "decision": 2_000,  # of events far apart: SQLite keeps each changed page in memory to undo a statement
}
"""Facts folded at a time in a rebuild."""
_TOTAL = "SELECT " + " + ".join(
    f"(SELECT coalesce(max({name}_id), 0) FROM {{store}}{name}_log)" for name in _REBUILD_PAGES
)
_STORED = """
  SELECT (SELECT coalesce(max(event_id), 0) FROM event_log),
         (SELECT coalesce(max(event_id), 0) FROM {store}stored_until)
"""
_STORED_UNTIL = f"""
  SELECT coalesce((SELECT max(event_id) FROM {{store}}stored_until),
                  (SELECT {NEVER} FROM {{store}}stored_unattempted LIMIT 1), 0)
"""
_SETTLES_S = 0.01  # in which most records under way end
UNSTORED_MAX = 256
"""The newest events are stored when their ids reach a multiple of this."""

_TIMELINES = 50  # clusters whose whole timeline is computed at a time

Progress = Callable[[int, int], None]
"""Called with the number of facts done and the total."""

FOLDED = ("event_log", "traceback_log", "attempt_log", "decision_log", "erasure_log", "correction_log")
"""The fact tables that the fold reads."""

DERIVED = tables_of("derived.sql")
"""The derived tables, which only the fold writes."""

COMPARED = {
    "stored_state": ("attempted_event", ("event_id",)),
    "stored_failure": ("failure", ("attempt_id",)),
    "stored_member": ("event_cluster", ("event_id", "cluster_id")),
    "stored_refailure": ("failure_after_success", ("event_id", "attempt_no")),
}
"""Derived tables whose rows are stored under a part of a cluster: views that have the cluster instead, and keys.

The part depends on when clusters were merged, so two stores with the same facts may differ in it.
"""


def fold(db: ProjectionWriter, scope: Scope, policy: Policy) -> None:
    """Update the derived tables, which are up to date except for the facts of the scope.

    The top of fold.sql has an example. Relapses and episodes depend on all members of a cluster: those of the changed
    part are subtracted while the old members are there, and added with the new ones.
    """
    if scope.events:
        fold_events(db, scope)
    if scope.attempts or scope.decisions:
        if scope.attempts and (merged := assign_clusters(db, scope)):
            _count_merged(db, merged)
        entered = _collect_touched(db, scope)
        if entered:
            _adjust_relapses(db, sign=-1)
            _upsert_members(db, scope)
            _adjust_relapses(db, sign=1)
        _update_event_states(db, scope, policy)
        if entered:
            update_cluster_severities(db, "entry", policy)
        _empty_work_tables(db, entered=entered)


def fold_events(db: ProjectionWriter, scope: Scope) -> None:
    """As `fold`, for new events only: they are PENDING under any policy."""
    for name in ("count_new_events", "store_unattempted", "raise_stored_until"):
        db.execute(_scoped(scope.ctes, name), scope.parameters)


def fold_first_successes(db: ProjectionWriter, scope: Scope) -> None:
    """As `fold`, for new attempts that succeeded, each the first fact after the event's own: no failure is involved."""
    for name in ("count_first_successes", "drop_succeeded", "store_first_successes"):
        db.execute(_scoped(scope.ctes, name), scope.parameters)
    db.execute(_SQL["drop_empty_counts"])


def store_unattempted(db: ProjectionWriter) -> None:
    """Store the events recorded since the last call: count them, and list those without attempts by when they are due.

    `unstored_event` is then empty. It must never have more than some hundred events, since each report reads them. On a
    server, events remain in it while one with a lower id may still become visible.
    """
    ((newest, stored),) = db.query(_STORED.format(store=""))
    if newest > stored:
        patience_s = 0.0 if newest - stored < UNSTORED_MAX else _SETTLES_S
        with suppress(StoreBusy):
            fold_events(db, just_appended(events=(stored + 1, settled_event(db, patience_s=patience_s))))


def stored_until(db: Reader) -> int:
    """The id of an event up to which the store has stored events without attempts; all, if that was lost."""
    return int(db.query(_STORED_UNTIL.format(store=db.dialect.store))[0][0])


def are_due(appended: Sequence[int]) -> bool:
    """Whether enough events were appended, with those before these ids, for `store_unattempted`."""
    return bool(appended) and (appended[0] - 1) // UNSTORED_MAX != appended[-1] // UNSTORED_MAX


def rebuild(
    db: ProjectionWriter,
    policy: Policy,
    progress: Progress = lambda _done, _total: None,
    *,
    until: int | None = None,
) -> None:
    """Delete everything derived and derive it again from the facts, page by page, in constant memory.

    Events up to the id `until` are stored; by default as many as before. Newer ones are not read unless they were
    attempted, so that damage among them is not noticed here, but by verify. Values that depend on a cluster's whole
    timeline are computed once, at the end.
    """
    if until is None:
        newest = settled_event(db)
        until = min(stored_until(db), newest) or (newest if newest >= UNSTORED_MAX else 0)
    for table in DERIVED:
        db.execute(f"DELETE FROM {table}")
    note_derivation(db)
    merged_clusters(db, load_corrections(db).merges)  # under time travel, the fingerprints are there
    for scope in _pages(db, until, progress):
        if scope.events:
            db.execute(_scoped(scope.ctes, "count_new_events"), scope.parameters)
            db.execute(_scoped(scope.ctes, "raise_stored_until"), scope.parameters)
            continue
        if scope.attempts:
            assign_clusters(db, scope)
        entered = _collect_touched(db, scope)
        if entered:
            _upsert_members(db, scope)
        _update_event_states(db, scope, policy)
        _empty_work_tables(db, entered=entered)
    for first, last in pages(db, "event_log", "event_id", until, _REBUILD_PAGES["event"]):
        unattempted = just_appended(events=(first, last))
        db.execute(_scoped(unattempted.ctes, "store_unattempted"), unattempted.parameters)
    _adjust_all_relapses(db)
    update_cluster_severities(db, "failure_cluster", policy)


def correct(db: ProjectionWriter, policy: Policy) -> None:
    """Merge the clusters that a correction just appended merges."""
    merged = merge(db, renamed(db, merged_clusters(db, load_corrections(db).merges)))
    if merged:
        _count_merged(db, merged)
        db.execute_many("INSERT INTO entry (cluster_id) VALUES (?)", [(cluster_id,) for cluster_id in merged])
        update_cluster_severities(db, "entry", policy)
        _empty_work_tables(db, entered=True)


def derive_again(db: ProjectionWriter, policy: Policy | None = None, grouping: GroupingRules | None = None) -> None:
    """As `rebuild`; store a new policy or new grouping rules first, if given."""
    if policy is not None:
        save_policy(db, policy)
    if grouping is not None:
        save_grouping(db, grouping)
    rebuild(db, policy or load_policy(db))


def _pages(db: ProjectionWriter, until: int, progress: Progress) -> Iterator[Scope]:
    """All facts except events after the id `until`, in pages of their ids."""
    ((total,),) = db.query(_TOTAL.format(store=db.dialect.store))
    done = 0
    for name, size in _REBUILD_PAGES.items():  # under time travel, attempts are visible once their events are folded
        ((newest,),) = db.query(f"SELECT coalesce(max({name}_id), 0) FROM {name}_log")
        newest = min(newest, until) if name == "event" else newest
        for first, last in pages(db, f"{name}_log", f"{name}_id", newest, size):
            page = just_appended(**{f"{name}s": (first, last)})
            if page.attempts:  # later attempts exist, but are not folded yet
                page = page._replace(parameters={**page.parameters, "newest_known": last})
            yield page
            progress(done + last, total)
        done += newest


def _empty_work_tables(db: ProjectionWriter, *, entered: bool) -> None:
    """Empty the fold's temporary tables; a rollback empties them as well."""
    db.clear("touched", *(("entry", "revised", "changed_timeline", "changed_hour") if entered else ()))


def _collect_touched(db: ProjectionWriter, scope: Scope) -> bool:
    """Collect the new values of each touched event and its cluster members; return whether any of them has failed."""
    db.execute(_scoped(scope.ctes, "collect_touched"), scope.parameters)
    ((failed, revised),) = db.query("SELECT count(*), count(revised_from) FROM touched WHERE last_failure IS NOT NULL")
    if failed:
        db.execute(_scoped(scope.ctes, "entries"), scope.parameters)
    if revised:
        db.execute(_scoped(scope.ctes, "revise"), scope.parameters)
    return bool(failed)


def _upsert_members(db: ProjectionWriter, scope: Scope) -> None:
    db.execute(_SQL["upsert_members"])
    db.execute(_SQL["keep_revised"])
    if scope.attempts:
        db.execute(_scoped(scope.ctes, "count_hours"), scope.parameters)
    db.execute(_SQL["count_entries"])


def _adjust_relapses(db: ProjectionWriter, *, sign: int) -> None:
    """Subtract relapses and episodes from the counts before timelines change (-1), or add them afterwards (1)."""
    if sign < 0:
        db.execute(_SQL["changed_timelines"])
        db.execute(_SQL["changed_hours"])
    _count_relapses(db, sign)


def _count_relapses(db: ProjectionWriter, sign: int) -> None:
    db.execute(_SQL["count_relapses"], {"sign": sign})
    if db.query("SELECT 1 FROM changed_timeline WHERE part_id IS NULL LIMIT 1"):
        db.execute(_SQL["count_merged_relapses"], {"sign": sign})
    db.execute(_SQL["count_episodes"], {"sign": sign})


def _adjust_all_relapses(db: ProjectionWriter) -> None:
    """Count the relapses and episodes of every cluster; none are counted yet."""
    after: int | None = 0
    while after is not None:
        db.execute(_SQL["all_timelines"], {"after": after, "page": _TIMELINES})
        db.execute(_SQL["all_hours"])
        _adjust_relapses(db, sign=1)
        ((after,),) = db.query("SELECT max(cluster_id) FROM changed_timeline")
        _empty_work_tables(db, entered=True)


def _count_merged(db: ProjectionWriter, merged: Collection[int]) -> None:
    """Count the relapses and episodes of merged clusters, whose counts are 0."""
    db.execute_many("INSERT INTO merging (old_id, new_id) VALUES (?, ?)", [(number, number) for number in merged])
    db.execute(_SQL["merged_timelines"])
    db.execute(_SQL["all_hours"])
    _count_relapses(db, 1)
    db.clear("merging", "changed_timeline", "changed_hour")


def _update_event_states(db: ProjectionWriter, scope: Scope, policy: Policy) -> None:
    db.execute(_scoped(scope.ctes, "update_event_state"), {**scope.parameters, **policy.parameters()})
    db.execute(_SQL["drop_unattempted"])
    db.execute(_SQL["update_counts"])
    db.execute(_SQL["drop_empty_counts"])


def held_by_traceback(db: ProjectionWriter, traceback: int) -> list[tuple[int, int]]:
    """The failures that would change clusters without this traceback: (attempt id, cluster id).

    Failures whose cluster an erasure has recorded already are left out.
    """
    rules = load_grouping(db)
    ((text,),) = db.query("SELECT text FROM traceback_log WHERE traceback_id = ?", (traceback,))

    @lru_cache(maxsize=1_024)
    def leaves(
        event_type: str, error_type: str | None, message: str | None, cause: str | None, given: str | None
    ) -> bool:
        about = partial(Subject, event_type, error_type, message, cause, given)
        with_it, without = (group(about(partial(str, shown)), rules) for shown in (text, ERASED))
        return with_it.cluster_id != without.cluster_id

    held: list[tuple[int, int]] = []
    after, full = 0, True
    while full:
        rows = db.query(_SQL["with_traceback"], {"traceback": traceback, "after": after, "page": PAGE})
        held += [(row[0], row[8]) for row in rows if leaves(*row[2:7])]
        full = len(rows) == PAGE
        after = rows[-1][0] if rows else after
    return held


def rename_clusters(db: ProjectionWriter, cluster_ids: list[int], policy: Policy) -> None:
    """Name clusters again after an erasure, by their first failure that was not erased.

    Without the words that were erased, a variable may not have been learned: then everything is derived again.
    """
    if any(db.query(_SQL["is_merged"], {"cluster": cluster_id}) for cluster_id in cluster_ids):
        rebuild(db, policy)
        return
    finder = Finder(db)
    for cluster_id in cluster_ids:
        named = finder.find(db.query(_SQL["named_by"], {"cluster": cluster_id})[0])
        db.execute(_SQL["rename_cluster"], (named.error_type, named.template, cluster_id))
        if named.template == ERASED:
            db.execute(_SQL["forget_template"], (named.error_type, cluster_id))
            db.execute(_SQL["forget_words"], (cluster_id,))
        else:
            db.execute(_SQL["rename_template"], (named.template, cluster_id))
    db.execute_many("INSERT INTO entry (cluster_id) VALUES (?)", [(cluster_id,) for cluster_id in cluster_ids])
    update_cluster_severities(db, "entry", policy)
    _empty_work_tables(db, entered=True)


def update_cluster_severities(db: ProjectionWriter, among: str, policy: Policy) -> None:
    """Write the severity of each cluster in the table `among`, with its rule and reason."""
    rule, severity = case("cluster", "name"), case("cluster", "severity")
    page = f"SELECT DISTINCT cluster_id FROM {among} WHERE cluster_id > :after ORDER BY cluster_id LIMIT :page"
    evidence = CLUSTER_EVIDENCE.format(of=f"cluster_id IN ({page})")
    sql = f"SELECT {severity}, {rule}, * FROM ({evidence}) AS evidence ORDER BY cluster_id"
    after, full = 0, True
    while full:
        rows = db.query(sql, {**policy.parameters(), "after": after, "page": PAGE})
        verdicts = []
        for row in rows:
            numbers = dict(zip(CLUSTER_NUMBERS, row[2:], strict=True))
            reason = cluster_reason(row[1], numbers) if row[1] else None
            verdicts.append((row[0], row[1], reason, numbers["cluster_id"]))
        db.execute_many(_SQL["update_cluster_severity"], verdicts)
        full = len(rows) == PAGE
        after = verdicts[-1][-1] if verdicts else after


@cache
def _scoped(ctes: str, name: str) -> str:
    return ctes + _SQL[name]
