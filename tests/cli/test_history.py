"""The commands about history: --as-of, policy, what-if, diff, since, seal, verify, erase, export and back."""

import json

import pytest

from failaware import Store
from tests.cli.test_commands import REPORTS, failaware
from tests.conftest import HOUR, NOON, plain_sqlite

DAY = 24 * HOUR


@pytest.fixture(scope="module")
def sample(samples):
    return samples(600, NOON)


@pytest.fixture
def own(sample, tmp_path):
    """A copy that may be written to."""
    path = tmp_path / "own.db"
    with plain_sqlite(sample) as db:
        db.execute("VACUUM INTO ?", (str(path),))
    return path


def cluster(path):
    return json.loads(failaware("clusters", "--json", db=path).stdout)[0]["cluster_id"]


@pytest.mark.thinned
@pytest.mark.parametrize("report", [*REPORTS, "attempt 1"])
def test_every_report_can_be_had_as_of_a_moment(sample, report):
    words = report.replace("ID", str(cluster(sample))).split()
    now = json.loads(failaware(*words, "--json", db=sample).stdout)
    later = failaware(*words, "--json", "--as-of", "2026-11-19T00:00Z", db=sample)
    assert later.returncode == 0, later.stderr
    if report not in {"timeline", "health", "cluster ID", "due"}:  # these look at the clock
        assert json.loads(later.stdout) == now
    plain = failaware(*words, "--as-of", "2026-11-19T00:00Z", db=sample, TZ="UTC")
    assert plain.stdout.startswith("as of 2026-11-19 00:00:00Z")
    assert len(plain.stdout.splitlines()) > 1


def test_before_the_first_event_there_was_nothing(sample):
    health = json.loads(failaware("health", "--json", "--as-of", "2026-11-10", db=sample).stdout)
    assert health["total_events"] == 0
    done = failaware("event", "1", "--as-of", "2026-11-10", db=sample)
    assert (done.returncode, "there is no event 1" in done.stderr) == (2, True)
    assert failaware("health", "--as-of", "teatime", db=sample).returncode == 2


def test_a_policy_is_explained_and_is_a_policy_file_again(sample, tmp_path):
    printed = failaware("policy", db=sample).stdout
    assert "repeated_retries = 2" in printed
    assert "is MEDIUM" in printed
    assert "recurring (cluster, CRITICAL): events >= 2" in printed
    file = tmp_path / "policy.toml"
    file.write_text(printed)
    same = json.loads(failaware("severity", "--policy", str(file), "--json", db=sample).stdout)
    assert same["before"] == same["after"]
    assert same["moves"] == []
    assert "Nothing would change" in failaware("severity", "--policy", str(file), db=sample).stdout
    assert json.loads(failaware("policy", "--json", db=sample).stdout)["multiple_events"] == 2


def test_what_another_policy_would_move(sample, tmp_path):
    file = tmp_path / "strict.toml"
    file.write_text("multiple_events = 1000\n")
    done = failaware("severity", "--policy", str(file), db=sample)
    assert "CRITICAL → —" in done.stdout
    assert "recurring → no rule" in done.stdout
    assert failaware("severity", "--policy", str(file), "--exit-code", "CRITICAL", db=sample).returncode == 0
    assert failaware("severity", "--exit-code", "CRITICAL", db=sample).returncode == 1


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("bogus = 1", "there is no threshold 'bogus'"),
        ("multiple_events = 'many'", "multiple_events is a whole number"),
        ("multiple_events = 0", "from 1 to 1,000,000, not 0"),
        ("multiple_events =", "is not TOML"),
    ],
)
def test_a_policy_file_that_makes_no_sense_is_said_to(sample, tmp_path, text, why):
    file = tmp_path / "bad.toml"
    file.write_text(text)
    done = failaware("severity", "--policy", str(file), db=sample)
    assert (done.returncode, why in done.stderr) == (2, True), done.stderr
    assert failaware("severity", "--policy", str(tmp_path / "none"), db=sample).returncode == 2


def test_a_diff_tells_what_changed(sample):
    done = failaware("diff", "2026-11-14T00:00Z", "2026-11-19T00:00Z", db=sample, TZ="UTC")
    assert done.returncode == 0
    assert "from 2026-11-14 00:00:00Z" in done.stdout
    assert "failed for the first time" in done.stdout
    result = json.loads(failaware("diff", "2026-11-14", "2026-11-19", "--json", db=sample).stdout)
    assert result["counts"]["cluster"]["new"] == len(result["clusters"])
    assert "Nothing that failed has changed" in failaware("diff", "2026-11-10", "2026-11-11", db=sample).stdout
    done = failaware("diff", "1h", "2h", db=sample)
    assert (done.returncode, "name the earlier moment first" in done.stderr) == (2, True)


def test_an_explanation_tells_since_when_and_from_which_facts(sample):
    done = failaware("explain", f"cluster/{cluster(sample)}", db=sample)
    assert "→ CRITICAL at 2026-11-" in done.stdout
    assert "by attempt" in done.stdout
    assert "episodes" in done.stdout
    result = json.loads(failaware("explain", f"cluster/{cluster(sample)}", "--json", db=sample).stdout)
    event = result["behind"][0]["ids"][0]
    assert failaware("event", str(event), db=sample).returncode == 0


def test_verify_holds_and_then_names_what_does_not(own):
    seal = failaware("seal", db=own)
    noted = seal.stdout.split()[0]
    assert json.loads(failaware("seal", "--json", db=own).stdout)["seal"] == noted
    done = failaware("verify", "--noted", noted, db=own)
    assert (done.returncode, done.stdout.count("ok      ")) == (0, 3), done.stdout
    assert noted in done.stdout
    with plain_sqlite(own) as db:
        db.execute("DROP TRIGGER event_log_refuses_update")
        db.execute("UPDATE event_log SET source = 'x' WHERE event_id = 7")
    done = failaware("verify", db=own)
    assert done.returncode == 1
    assert "event_log 7: was changed since it was sealed" in done.stdout
    assert "the trigger event_log_refuses_update is missing" in done.stdout
    result = json.loads(failaware("verify", "--json", db=own).stdout)
    assert {finding["where"] for finding in result["findings"]} == {"schema", "event_log 7"}
    assert failaware("verify", "--noted", "x", db=own).returncode == 2


def test_verify_leaves_out_the_derivation_when_only_facts_are_asked_for(own):
    with plain_sqlite(own) as db:
        db.execute("UPDATE stored_state SET attempts = attempts + 1 WHERE event_id = 7")
    done = failaware("verify", "--facts-only", db=own)
    assert (done.returncode, done.stdout.count("ok      "), "derived" in done.stdout) == (0, 2, False), done.stdout
    assert json.loads(failaware("verify", "--facts-only", "--json", db=own).stdout)["parts"] == ["schema", "facts"]
    assert "stored_state 7" in failaware("verify", db=own).stdout


def test_what_is_erased_is_shown_as_erased(own):
    done = failaware("erase", "5", "--because", "she asked", "--by", "dpo", db=own)
    assert done.returncode == 0
    assert "erased 1 payload" in done.stdout
    shown = failaware("event", "5", db=own).stdout
    assert "[erased]" in shown
    assert "ERASE by dpo: she asked" in shown
    assert "erased  event 5" in failaware("verify", db=own).stdout
    for words, why in ((["5"], "was erased"), (["9999"], "no event 9999")):
        done = failaware("erase", *words, "--because", "again", db=own)
        assert (done.returncode, why in done.stderr) == (2, True)
    assert failaware("erase", "6", "--because", " ", db=own).returncode == 2


def test_an_export_is_taken_back(own, tmp_path):
    file, copy = tmp_path / "facts.jsonl", tmp_path / "copy.db"
    assert failaware("export", "--out", str(file), db=own).returncode == 0
    assert file.stat().st_mode & 0o777 == 0o600
    assert failaware("export", db=own).stdout == file.read_text()
    assert failaware("export", "--out", str(file), db=own).returncode == 2
    done = failaware("restore", str(file), db=copy)
    assert done.returncode == 0, done.stderr
    assert failaware("clusters", "--json", db=copy).stdout == failaware("clusters", "--json", db=own).stdout
    assert failaware("verify", db=copy).returncode == 0
    again = failaware("restore", "-", db=copy, stdin=file.read_text())
    assert again.returncode == 0, again.stderr
    with Store.open(tmp_path / "other.db") as store:
        store.record("mine")
    done = failaware("restore", str(file), db=tmp_path / "other.db")
    assert done.returncode == 2
    assert "restore it into a new file" in done.stderr


@pytest.mark.parametrize("words", [["seal"], ["erase", "1", "--because", "x"], ["verify"], ["export"], ["policy"]])
def test_a_store_that_is_missing_is_not_made(tmp_path, words):
    done = failaware(*words, db=tmp_path / "none.db")
    assert (done.returncode, "there is no store at" in done.stderr) == (2, True)
    assert not (tmp_path / "none.db").exists()
