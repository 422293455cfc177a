"""merge, split, undo and corrections on the command line."""

import json

import pytest

from failaware import Inspector, Store
from failaware.cli.main import main
from tests.derive.test_corrections import clusters, failures
from tests.derive.test_learned import fail, learning


@pytest.fixture
def ids(path):
    with learning(path) as store:
        fail(store, [("disk is full", 0, True), ("no space left here", 1, False), ("lost 5 hosts of ours", 1, False)])
        return clusters(store)


def run(capsys, *words, status=0):
    assert main([str(word) for word in words]) == status
    return capsys.readouterr()


def test_a_preview_shows_what_changes_and_records_nothing(ids, path, capsys):
    full, space = ids["disk is full"], ids["no space left here"]
    shown = run(capsys, "--db", path, "merge", full, str(space)[:12], "--preview").out
    assert "1 → 2" in shown
    assert "1 → 0" in shown
    (own, other) = sorted(
        json.loads(run(capsys, "--db", path, "merge", full, space, "--preview", "--json").out)["changes"],
        key=lambda change: change["events_after"],
    )
    assert (own["cluster_id"], own["events_after"], own["severity_after"]) == (space, 0, None)
    assert (other["cluster_id"], other["events_before"], other["events_after"]) == (full, 1, 2)
    assert other["severity_before"] is None
    assert other["severity_after"] is not None
    assert "No cluster was merged or split." in run(capsys, "--db", path, "corrections").out
    with Inspector.open(path) as inspector:
        assert len(inspector.clusters()) == 3


def test_what_was_decided_is_listed_and_undone(ids, path, capsys):
    full, space, lost = ids["disk is full"], ids["no space left here"], ids["lost <n> hosts of ours"]
    assert (
        "recorded 1 correction: 1"
        in run(capsys, "--db", path, "merge", full, space, "--because", "one", "--by", "ann").out
    )
    run(capsys, "--db", path, "split", lost, "--by", "<n>", "--because", "each", "--decided-by", "bob")
    with Store.open(path) as store:
        assert failures(store) == {"disk is full": 2, "lost <n> hosts of ours [<n>=5]": 1}
    run(capsys, "--db", path, "undo", 1, "--because", "two after all")
    listed = json.loads(run(capsys, "--db", path, "corrections", "--json").out)
    assert [(each["correction"], each["decided_by"], each["undone_by"]) for each in listed[1:]] == [
        ("SPLIT", "bob", None), ("MERGE", "ann", 3),
    ]  # fmt: skip
    text = run(capsys, "--db", path, "corrections").out
    assert "undo 1" in text
    assert "(undone by 3)" in text
    assert "by <n>" in text


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "give the reason with --because, or --preview to see what would change"),
        (["--preview", "--because", "x"], "--preview records nothing; leave out --because, or leave out --preview"),
    ],
)
def test_a_reason_or_a_preview(ids, path, capsys, words, sentence):
    error = run(capsys, "--db", path, "undo", 1, *words, status=2).err
    assert sentence in error
