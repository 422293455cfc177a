"""What a batch costs must not depend on how much is in the store: no statement goes through all of a stored table."""

import re

import pytest

from failaware.derive import fold, scope
from failaware.facts import append, claim
from failaware.rules import default_policy

pytestmark = pytest.mark.sqlite("its query plans; PostgreSQL plans by statistics")

ONLY_IN_A_REBUILD = {"all_courses", "all_hours"}
STORED = (
    r"event_log|event_key|attempt_log|decision_log|lease|stored_state|stored_unattempted|stored_counts|event_state"
    r"|unstored_event|stored_failure|fingerprint|template_slot|stored_member|failure_cluster|cluster_hour|stored_refailure|cluster_part"
)


class Parameters(dict):
    """Any named parameter there is."""

    def __missing__(self, name):
        return 1


def plan(store, sql, parameters):
    """The steps of a statement's query plan."""
    return store.session.write(lambda db: [row[3] for row in db.query(f"EXPLAIN QUERY PLAN {sql}", parameters)])


def stored_names(sql):
    """The stored tables of a statement, and the short names it gives them."""
    named = re.findall(rf"\b(?:FROM|JOIN|UPDATE|INTO) (?:{STORED}|new_\w+|known_\w+)(?: AS)? (\w+)", sql)
    in_views = {"e", "s"} if re.search(r"\b(event_state|unstored_event)\b", sql) else set()
    return {*STORED.split("|"), *named, *in_views} - {"SET", "WHERE", "ON"}


@pytest.mark.parametrize("name", sorted(set(fold._SQL) - ONLY_IN_A_REBUILD))
def test_no_statement_of_the_fold_goes_through_a_stored_table(store, name):
    sql = fold._SQL[name]
    if sql.startswith("CREATE"):
        return
    parameters = Parameters() if ":" in sql or "new_" in sql or "known_" in sql else [1] * sql.count("?")
    scoped = fold._scoped(scope._LIVE, name) if re.search(r"\b(new|known)_(event|attempt|decision)\b", sql) else sql
    for step in plan(store, scoped, parameters):
        table = re.match(r"SCAN (\w+)", step)
        if table and "event_counts_empty" not in step:
            assert table[1] not in stored_names(sql), step


def test_the_course_of_a_cluster_is_followed_in_the_order_of_an_index(store):
    """However many events it has: neither sorted nor kept."""
    steps = plan(store, fold._SQL["count_relapses"], Parameters())
    assert (
        "SEARCH e USING COVERING INDEX event_cluster_entry (part_id=? AND first_failed_at>? AND first_failed_at<?)"
        in steps
    )
    assert "CO-ROUTINE entered" in steps
    assert "USE TEMP B-TREE FOR ORDER BY" not in steps


def test_judging_goes_by_the_clusters_that_are_asked_for(store):
    sql = []
    original = store.session._db.query

    def spy(statement, parameters=()):
        sql.append((statement, parameters))
        return original(statement, parameters)

    store.session._db.query = spy
    store.session.write(lambda db: fold.update_cluster_severities(db, "entry", default_policy()))
    for step in plan(store, *sql[0]):
        assert not re.match(r"SCAN (c|event_counts|failure_cluster)\b", step), step


@pytest.mark.parametrize("sql", [claim._DUE, append._END_LEASES])
def test_claims_and_leases_are_found_by_an_index(store, sql):
    parameters = Parameters() if ":" in sql else [1] * sql.count("?")
    chosen = {f"SCAN {name}" for name in ("retried", "unattempted", "d")}  # at most a batch of each
    assert not [step for step in plan(store, sql, parameters) if step.startswith("SCAN") and step not in chosen]


def test_due_events_come_from_an_index_in_their_order(store):
    steps = plan(store, claim._DUE, Parameters())
    assert "SEARCH s USING INDEX event_due (event_type=? AND due_at>? AND due_at<?)" in steps
    assert "SEARCH n USING COVERING INDEX unattempted_due (event_type=? AND detected_at<?)" in steps
    for name in ("retried", "unattempted"):  # each is read in order, and only what was chosen is sorted
        start = steps.index(f"CO-ROUTINE {name}")
        assert "USE TEMP B-TREE FOR ORDER BY" not in steps[start : steps.index(f"SCAN {name}")]


def test_the_next_due_time_comes_from_indexes_and_the_newest_events(store):
    steps = plan(store, claim._NEXT_DUE, Parameters())
    assert "SEARCH s USING COVERING INDEX event_due (event_type=? AND due_at>?)" in steps
    assert "SEARCH n USING COVERING INDEX unattempted_due (event_type=? AND detected_at>?)" in steps
    assert "SEARCH e USING INTEGER PRIMARY KEY (rowid>?)" in steps
    assert {step for step in steps if step.startswith("SCAN")} == {"SCAN stored_counts", "SCAN t", "SCAN l"}
