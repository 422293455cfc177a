"""Digests of texts that may be short are made under a key of the store's own, and cannot be found by guessing."""

import hashlib
import json
import subprocess
import sys

import pytest

from failaware import Inspector, Store
from failaware.ledger.copy import copy_facts
from failaware.ledger.sealing import seal_all
from failaware.ledger.transfer import finish
from failaware.ledger.verify import verify
from tests.conftest import query

SECRET = "user=7 otp=482913"
GUESS = hashlib.sha256(SECRET.encode()).hexdigest()[:16]


def kept_key(store):
    return query(store, "SELECT key FROM event_key")[0][0]


def test_a_masked_key_does_not_give_its_secret_away_and_still_finds_its_event(store, path):
    first = store.record("a", key=SECRET)
    assert "482913" not in kept_key(store)
    assert GUESS not in kept_key(store)
    with Store.open(path) as other:
        assert other.record("a", key=SECRET).event_id == first.event_id
        assert not other.record("a", key=SECRET.replace("3", "4")).known


def test_no_two_stores_have_the_same_key(store, tmp_path):
    store.record("a", key=SECRET)
    with Store.open(tmp_path / "other.db") as other:
        other.record("a", key=SECRET)
        assert kept_key(store) != kept_key(other)


def test_what_is_erased_leaves_no_digest_that_can_be_guessed(store, path):
    store.record("a", 482913)
    with pytest.raises(ValueError, match="pin"), store.attempt("b"):
        raise ValueError("pin 4829")
    seal_all(store.session, 0)
    store.dismiss([1], because="to be erased")
    store.erase([1, 2], because="asked to")
    digests = {digest for (digest,) in query(store, "SELECT digest FROM erasure_log")}
    assert hashlib.sha256(b"482913").hexdigest() not in digests
    ((hash_, text),) = query(store, "SELECT hash, text FROM traceback_log")
    assert text == "[erased]"
    assert hash_ != hashlib.sha256(text.encode()).hexdigest()
    ((facts,),) = query(store, "SELECT facts FROM seal_log WHERE of_table = 'event_log'")
    (row,) = query(
        store,
        "SELECT event_id, event_type, source, occurred_at, detected_at, fingerprint, source FROM event_log "
        "WHERE event_id = 1",
    )
    columns = json.dumps(row, separators=(",", ":"))
    guess = hashlib.sha256(columns.encode() + hashlib.sha256(b"482913").digest()).digest()[:16]
    assert guess not in facts
    assert verify(path).findings == ()


def test_a_copy_has_the_key_and_so_knows_the_same_events(store, path, tmp_path):
    store.record("a", key=SECRET)
    seal_all(store.session, 0)
    with Inspector.open(path) as source, Store.open(tmp_path / "copy.db") as copy:
        copy_facts(source.db, copy.session)
        finish(copy.session)
    with Store.open(tmp_path / "copy.db") as copy:
        assert copy.record("a", key=SECRET).known
    assert verify(tmp_path / "copy.db").findings == ()


@pytest.mark.parametrize("key", ["", "x", "00" * 31, None])
def test_a_key_that_is_damaged_or_gone_is_a_finding(store, path, key):
    store.record("a", 1)
    seal_all(store.session, 0)
    statement = "DELETE FROM setting WHERE name = 'key'"
    if key is not None:
        statement = f"UPDATE setting SET value = '{key}' WHERE name = 'key'"
    store.session.write(lambda db: db.execute(statement))
    assert verify(path).findings


@pytest.mark.sqlite("the program opens a file")
def test_exec_masks_a_key_as_the_store_does(path):
    with Store.open(path) as store:
        store.record("a", key=SECRET)
    run = [sys.executable, "-m", "failaware", "--db", str(path), "exec", "--key", SECRET, "--", "true"]
    assert subprocess.run(run, check=False, capture_output=True).returncode == 0
    with Store.open(path) as store:
        assert query(store, "SELECT count(*) FROM event_log") == [(1,)]
