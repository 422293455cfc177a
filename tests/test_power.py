"""The power is cut: what FULL has acknowledged is there when it is back, and NORMAL loses only its end."""

import os
import random

import pytest

from failaware import Store
from tests.disk import ALL_GOT_THROUGH, NOTHING_GOT_THROUGH, by_chance, faulty_disk
from tests.remembering import lost
from tests.sizes import sized
from tests.soak.power import ACKNOWLEDGED, after, cuts, try_life

pytestmark = pytest.mark.sqlite("its disk")


@pytest.mark.parametrize("seed", range(sized(1, 6)))
@pytest.mark.large
def test_a_full_store_loses_nothing_that_it_acknowledged(tmp_path, seed):
    counts = try_life(tmp_path, random.Random(seed), synchronous="FULL", steps=25, every=40)
    assert counts["power cuts"] > 5
    assert counts["facts acknowledged"] > 100
    assert counts["facts lost"] == 0


@pytest.mark.large
def test_a_normal_store_loses_only_its_newest_facts_and_stays_sound(tmp_path):
    counts = [
        try_life(tmp_path / str(seed), random.Random(seed), synchronous="NORMAL", steps=25, every=40)
        for seed in range(4)
    ]
    assert sum(one["lost, as NORMAL may"] for one in counts) > 0  # or the power cuts would prove nothing
    assert sum(one["facts lost"] for one in counts) == 0


def two_writers(path, rng):
    """What two stores of one file do to the disk, in turn; the second is always cut off before it flushes."""
    acknowledged = set()
    with faulty_disk() as disk, pytest.MonkeyPatch.context() as patch:
        disk.noting = True
        with Store.open(path) as one, Store.open(path) as other:
            for store in (one, other):
                store.session.read(lambda db: db.query("PRAGMA wal_autocheckpoint = 12"))
            for n in range(30):
                with patch.context() as without_flush:
                    without_flush.setattr(os, "fdatasync", lambda fd: None)
                    other.record_many(("other", "x" * rng.randrange(4_000)) for _ in range(rng.randrange(1, 4)))
                acknowledged.add(one.record("one", "x" * rng.randrange(4_000)).event_id)
                disk.note(ACKNOWLEDGED, {"event_log": frozenset(acknowledged)})
                if n % 10 == 9:
                    one.session.read(lambda db: db.query("PRAGMA wal_checkpoint(RESTART)"))
            log = list(disk.log)
    return log


@pytest.mark.parametrize("seed", range(sized(1, 4)))
def test_what_one_writer_acknowledged_survives_whatever_another_had_not_flushed(tmp_path, seed):
    rng = random.Random(seed)
    log = two_writers(tmp_path / "store.db", rng)
    points = range(rng.randrange(7), len(log), sized(14, 7))
    cut = 0
    for number, (acknowledged, power) in enumerate(cuts(log, points)):
        luck = rng.choice((NOTHING_GOT_THROUGH, ALL_GOT_THROUGH, by_chance(rng)))
        if acknowledged:
            assert not lost(acknowledged, after(power, luck, tmp_path / f"cut{number}"))
            cut += 1
    assert cut > 10
