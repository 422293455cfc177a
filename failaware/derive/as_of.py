"""Time travel: the facts up to a moment, folded by the usual statements in a private copy of the store.

An event is known from its detection, an attempt from its end, a decision from when it was made; the last two never
before their event. Facts are also bounded by id, which excludes those appended after the last `move`.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from failaware.derive.corrections import Corrections, load_corrections
from failaware.derive.fold import Progress, fold, rebuild, stored_until
from failaware.derive.scope import of_ids
from failaware.derive.settings import copy_rules, load_policy, stored_rules
from failaware.engine import PrivateCopy, Row
from failaware.model import NEVER
from failaware.schema.catalogue import CORRECTION


class Log(NamedTuple):
    """A fact table: its key, and SQL for the time from which a row `f` of the store's own table is known."""

    table: str
    key: str
    known_at: str


_LATER = (
    "coalesce((SELECT e.detected_at FROM main.event_log e WHERE e.event_id = f.event_id AND e.detected_at > {0}), {0})"
)
_OF_KNOWN_EVENT = "AND EXISTS (SELECT 1 FROM event_log e WHERE e.event_id = f.event_id)"
LOGS = (
    Log("event_log", "event_id", "f.detected_at"),
    Log("attempt_log", "attempt_id", _LATER.format("f.finished_at")),
    Log("decision_log", "decision_id", _LATER.format("f.decided_at")),
)
"""The facts that are folded, events first."""

_NOW, _LAST = "(SELECT at FROM moment)", "(SELECT {} FROM moment)"
_VIEWS = {
    "event_log": f"f.detected_at <= {_NOW} AND f.event_id <= {_LAST.format('event_log')}",
    "attempt_log": f"f.finished_at <= {_NOW} AND f.attempt_id <= {_LAST.format('attempt_log')} {_OF_KNOWN_EVENT}",
    "decision_log": f"f.decided_at <= {_NOW} AND f.decision_id <= {_LAST.format('decision_log')} {_OF_KNOWN_EVENT}",
    "reject_log": f"f.rejected_at <= {_NOW}",
    "correction_log": f"f.decided_at <= {_NOW}",
}
_TABLES = (
    "CREATE TEMP TABLE moment (at INTEGER, event_log INTEGER, attempt_log INTEGER, decision_log INTEGER)",
    "CREATE TEMP TABLE known_at (log INTEGER, at INTEGER, id INTEGER, PRIMARY KEY (log, at, id)) WITHOUT ROWID",
    "CREATE TEMP TABLE step (log INTEGER, id INTEGER, PRIMARY KEY (log, id)) WITHOUT ROWID",
    "CREATE TEMP TABLE assigned (fingerprint_id INTEGER PRIMARY KEY, cluster_id INTEGER)",  # at the previous move
    "CREATE TEMP TABLE proposed AS SELECT * FROM main.correction_log WHERE false",
    "CREATE TEMP TABLE late (event_id INTEGER PRIMARY KEY)",  # visible only after others with higher ids were
)
_FETCHED = {
    "event_log": "event_id",
    "event_key": "event_id",
    "traceback_log": "traceback_id",
    "attempt_log": "attempt_id",
    "decision_log": "decision_id",
    "reject_log": "reject_id",
    "erasure_log": "erasure_id",
    "correction_log": "correction_id",
}
"""The tables fetched from a server, with the id by which later fetches continue."""
_PRESENT = ("fingerprint", "template_slot")
"""The derived tables that are those of the present."""

_ENDS = "SELECT " + ", ".join(f"(SELECT coalesce(max({log.key}), 0) FROM main.{log.table})" for log in LOGS)
_NEWEST = "SELECT " + ", ".join(
    f"(SELECT coalesce(max({key}), 0) FROM {{store}}{table})" for table, key in _FETCHED.items()
)
_FETCHED_SINCE = "SELECT event_id FROM main.event_log WHERE event_id > ? AND event_id <= ?"
_CHANGES = """
  SELECT (SELECT coalesce(max(erasure_id), 0) FROM {store}erasure_log),
         (SELECT coalesce(max(moved_id), 0) FROM {store}moved_log)
"""
"""The newest erasure and archive, which change facts appended before."""
_MERGED = """
  SELECT 1 FROM assigned a JOIN main.fingerprint f ON f.fingerprint_id = a.fingerprint_id
   WHERE f.cluster_id <> a.cluster_id LIMIT 1
"""
_STEP = of_ids(*(f"IN (SELECT id FROM step WHERE log = {number})" for number in range(len(LOGS))))


class PointInTime:
    """A store's facts up to a moment, and their derived tables. Moving forward folds only the facts in between."""

    def __init__(self, db: PrivateCopy, proposed: Sequence[Row] = ()) -> None:
        """Create the tables in `db`, an empty private copy of the store; call `move` next.

        `proposed` are corrections in addition to those of the store: rows of correction_log.
        """
        self._db = db
        self._at: int | None = None
        self._bounds = self._listed = [0] * len(LOGS)
        self._settled = 0  # the id of an event of a server up to which none becomes visible any more
        self._basis: tuple[Row, list[Row]] | None = None
        for statement in _TABLES:
            db.execute(statement)
        db.execute_many(f"INSERT INTO proposed VALUES ({', '.join('?' * len(CORRECTION.columns))})", proposed)
        for table, known in _VIEWS.items():
            also = " UNION ALL SELECT * FROM proposed" if table == "correction_log" else ""
            db.execute(f"CREATE TEMP VIEW {table} AS SELECT f.* FROM main.{table} f WHERE {known}{also}")
        self._corrections: Corrections | None = None
        self._learned_in = ""

    def move(self, at: int, progress: Progress = lambda _done, _total: None) -> None:
        """Go to a moment (µs). Going back, an erasure, an archive or new rules derive everything again."""
        was, seen = self._at, self._bounds
        changed = self._fetch(progress) or bool(self._db.query(_MERGED))
        self._db.execute("DELETE FROM assigned")
        self._db.execute("INSERT INTO assigned SELECT fingerprint_id, cluster_id FROM main.fingerprint")
        self._at, self._bounds = at, list(self._db.query(_ENDS)[0])
        self._db.execute("DELETE FROM moment")
        self._db.execute("INSERT INTO moment VALUES (?, ?, ?, ?)", (at, *self._bounds))
        changed = self._correct() or changed
        if was is None or at < was or changed:
            rebuild(self._db, load_policy(self._db), progress, until=NEVER)
            return
        self._list()
        self._db.execute("DELETE FROM step")
        for number, log in enumerate(LOGS):
            between = {"log": number, "was": was, "at": at, "seen": seen[number], "last": self._bounds[number]}
            self._db.execute(
                "INSERT INTO step SELECT log, id FROM known_at WHERE log = :log AND at > :was AND at <= :at", between
            )
            self._db.execute(  # appended late: known from before the previous moment
                f"INSERT INTO step SELECT :log, f.{log.key} FROM main.{log.table} f "
                f"WHERE (f.{log.key} > :seen OR :log = 0 AND f.event_id IN (SELECT event_id FROM late)) "
                f"AND f.{log.key} <= :last AND {log.known_at} <= :was",
                between,
            )
        fold(self._db, _STEP, load_policy(self._db))

    def _correct(self) -> bool:
        """Follow the corrections in force at the moment; return whether they differ from those of the last move.

        The clusters of a type depend on the order in which facts were appended, not on that of their times. So what
        was learned is that of the present, unless a split was decided or undone since.
        """
        corrections = load_corrections(self._db)
        learned_in = "main" if corrections.splits == load_corrections(self._db, "main.").splits else "temp"
        if learned_in != self._learned_in:
            for view, table in (("learned_fingerprint", "fingerprint"), ("known_slot", "template_slot")):
                self._db.execute(f"DROP VIEW {view}")
                self._db.execute(f"CREATE TEMP VIEW {view} AS SELECT * FROM {learned_in}.{table}")
        changed = corrections != self._corrections or learned_in != self._learned_in
        self._corrections, self._learned_in = corrections, learned_in
        return changed

    def _fetch(self, progress: Progress) -> bool:
        """Fetch new facts; return true if older facts or the rules have changed."""
        db, store = self._db, self._db.store
        with store.snapshot():
            basis = store.query(_CHANGES.format(store=store.dialect.store))[0], stored_rules(store)
            changed, self._basis = basis != self._basis, basis
            if changed:
                copy_rules(db)
                db.execute("INSERT INTO setting (name, value) VALUES ('as of', '')")
                db.forget(*_FETCHED, *_PRESENT)
                db.clear("known_at")
                self._listed = [0] * len(LOGS)
                self._settled = 0
            known, newest = (each.query(_NEWEST.format(store=each.dialect.store))[0] for each in (db, store))
            total, done = sum(newest) - sum(known), 0
            if store.dialect.recorders:
                if not changed:
                    self._fetch_late()
                self._settled = stored_until(store)
            for (table, key), last, end in zip(_FETCHED.items(), known, newest, strict=True):
                if end > last:
                    db.fetch(table, f"{key} > ?", (last,), progress=_within(progress, done, total))
                    done += end - last
            if total:
                db.forget(*_PRESENT)
                for table in _PRESENT:
                    db.fetch(table)
        return changed

    def _fetch_late(self) -> None:
        """Fetch the events that became visible after others with higher ids, which were fetched before."""
        db = self._db
        db.execute("DELETE FROM late")
        last = self._bounds[0]
        ((fetched,),) = db.query("SELECT count(*) FROM main.event_log WHERE event_id > ?", (self._settled,))
        if last - self._settled > fetched:  # ids are missing, so that their events may have become visible
            db.execute(f"INSERT INTO late {_FETCHED_SINCE}", (self._settled, last))
            for table in ("event_log", "event_key"):
                db.execute(f"DELETE FROM main.{table} WHERE event_id > ? AND event_id <= ?", (self._settled, last))
                db.fetch(table, "event_id > ? AND event_id <= ?", (self._settled, last))
            had = db.query("SELECT event_id FROM late")
            db.execute(f"INSERT INTO late {_FETCHED_SINCE} ON CONFLICT DO NOTHING", (self._settled, last))
            db.execute_many("DELETE FROM late WHERE event_id = ?", had)
            db.execute(
                "INSERT INTO known_at SELECT 0, e.detected_at, e.event_id FROM late JOIN main.event_log e "
                "ON e.event_id = late.event_id WHERE e.event_id <= ?",
                (self._listed[0],),
            )

    def neighbour(self, way: int) -> int | None:
        """The time (µs) at which the next fact becomes known (way 1) or the previous one did (way -1)."""
        self._list()
        nearest, beyond = ("min", ">") if way > 0 else ("max", "<")
        sql = f"SELECT {nearest}(at) FROM known_at WHERE log = ? AND at {beyond} ?"
        times = [self._db.query(sql, (number, self._at))[0][0] for number in range(len(LOGS))]
        return (min if way > 0 else max)((at for at in times if at is not None), default=None)

    def _list(self) -> None:
        """Add new facts to `known_at`."""
        for number, log in enumerate(LOGS):
            if self._bounds[number] > self._listed[number]:
                self._db.execute(
                    f"INSERT INTO known_at SELECT ?, {log.known_at}, f.{log.key} FROM main.{log.table} f "
                    f"WHERE f.{log.key} > ? AND f.{log.key} <= ? ORDER BY 2, 3",
                    (number, self._listed[number], self._bounds[number]),
                )
        self._listed = self._bounds


def _within(progress: Progress, before: int, total: int) -> Callable[[int], None]:
    """A callback that reports the rows of one table as a part of all tables' rows."""
    return lambda rows: progress(before + rows, total)
