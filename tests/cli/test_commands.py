"""The command line as a person and a script meet it: the real program, in its own process."""

import json
import os
import re
import sys

import pytest

from failaware import Handlers, Inspector, Permanent, Retry, Store, Worker
from tests import processes
from tests.conftest import START
from tui import documents


def failaware(*words, db=None, cwd=None, stdin=None, **env):
    command = [sys.executable, "-m", "failaware", *(["--db", str(db)] if db else []), *words]
    clean = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "FAILAWARE_DB")}
    return processes.run(
        command, capture_output=True, text=True, cwd=cwd, input=stdin, env={**clean, **env}, timeout=120, check=False
    )


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """A store with something of everything, hostile text included."""
    path = tmp_path_factory.mktemp("cli") / "store.db"
    handlers = Handlers()

    @handlers.on("payment.*", retry=Retry(max_attempts=2, base=0))
    def payment(event):
        raise TimeoutError(f"gateway 10.0.0.{event.event_id} timed out \x1b[31m[bold]\u202e")

    @handlers.on("poison")
    def poison(event):
        raise Permanent("cannot be read")

    handlers.on("mail")(lambda event: None)
    with Store.open(path) as store:
        store.record_many(
            [("payment.capture", {"amount": 5}), ("payment.capture", {"evil": "\x1b]0;x\x07"}), ("poison", 1)]
        )
        store.record_many([("mail", n) for n in range(5)] + [("waiting", 1)])
        Worker(store, handlers).run(until_idle=True)
        cluster = store.session.read(lambda db: db.query("SELECT cluster_id FROM failure_cluster WHERE events = 2"))[0][
            0
        ]
    return path, cluster


REPORTS = [
    "health",
    "severity",
    "clusters",
    "cluster ID",
    "events",
    "event 1",
    "explain event/1",
    "explain cluster/ID",
    "timeline",
    "rejects",
    "recovered",
    "due",
]


@pytest.mark.parametrize("report", REPORTS)
@pytest.mark.thinned
def test_every_report_prints_harmless_text_and_one_json_document(full, report):
    path, cluster = full
    words = report.replace("ID", str(cluster)).split()
    plain = failaware(*words, db=path)
    assert plain.returncode == 0, plain.stderr
    assert plain.stdout.strip()
    assert not any(c in plain.stdout for c in "\x1b\x07\u202e")
    assert json.loads(failaware(*words, "--json", db=path).stdout) is not None


def test_the_first_spellings_still_work(full):
    path, _ = full
    assert json.loads(failaware("--health", "--json", db=path).stdout)["total_events"] == 9
    assert json.loads(failaware("--severity", "--json", db=path).stdout)["HIGH"] == 4


def test_json_has_the_keys_that_others_rely_on(full):
    path, cluster = full
    health = json.loads(failaware("health", "--json", db=path).stdout)
    assert (health["pending"], health["failed"], health["dead"], health["synced"], health["dismissed"]) == (
        1,
        0,
        3,
        5,
        0,
    )
    assert health["oldest_unresolved"]["event_id"] in (1, 2, 3)
    assert health["most_retried"]["value"] == 1
    severity = json.loads(failaware("severity", "--json", db=path).stdout)
    assert [severity[level] for level in ("CRITICAL", "HIGH", "MEDIUM", "LOW")] == [0, 4, 0, 0]
    worst = json.loads(failaware("clusters", "--json", db=path).stdout)[0]
    names = {"cluster_id", "event_type", "error_type", "template", "severity", "rule", "reason", "events", "unresolved"}
    assert names | {"failures", "first_failed_at", "last_failed_at"} <= set(worst)
    assert (worst["cluster_id"], worst["severity"], worst["rule"], worst["events"]) == (cluster, "HIGH", "multiple", 2)
    event = json.loads(failaware("event", "1", "--json", db=path).stdout)
    assert [attempt["outcome"] for attempt in event["attempts"]] == ["FAILED", "FAILED"]


def test_events_are_written_page_by_page_and_are_one_document(tmp_path):
    path = tmp_path / "store.db"
    with Store.open(path, synchronous="NORMAL") as store:
        store.record_many([("a", n) for n in range(2_500)])
    for words, ids in (
        (["--limit", "2300"], range(2500, 200, -1)),
        (["--limit", "2000"], range(2500, 500, -1)),
        (["--limit", "9999", "--before", "1001"], range(1000, 0, -1)),
        (["type:b"], []),
    ):
        printed = failaware("events", *words, "--json", db=path).stdout
        assert [event["event_id"] for event in json.loads(printed)] == list(ids)
        assert printed == json.dumps(json.loads(printed), indent=2) + "\n"


def test_a_timeline_of_more_clusters_than_anyone_reads_says_so(tmp_path):
    lines = [json.dumps({"type": f"job.{n}", "error": {"type": "E", "message": "m"}}) for n in [*range(60), 7, 7]]
    path = tmp_path / "store.db"
    assert failaware("ingest", "-", db=path, stdin="\n".join(lines)).returncode == 0
    done = failaware("timeline", db=path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "10 clusters with fewer failures are left out" in done.stdout
    rows = [line for line in done.stdout.splitlines() if "job." in line]
    assert len(rows) == 50
    assert "job.7" in rows[0]
    assert len(json.loads(failaware("timeline", "--json", db=path).stdout)) == 60


@pytest.mark.parametrize("columns", ["80", "160"])
def test_reports_fit_a_terminal(full, columns):
    import pty

    path, _ = full
    for words in (["health"], ["severity"], ["clusters"], ["events"], ["timeline"]):
        leader, follower = pty.openpty()
        env = {**os.environ, "COLUMNS": columns, "NO_COLOR": "1", "TERM": "xterm"}
        process = processes.Popen(
            [sys.executable, "-m", "failaware", "--db", str(path), *words], stdout=follower, env=env, stderr=follower
        )
        os.close(follower)
        shown = b""
        while True:
            try:
                chunk = os.read(leader, 65536)
            except OSError:
                break
            if not chunk:
                break
            shown += chunk
        os.close(leader)
        assert process.wait(30) == 0, shown
        lines = re.sub(r"\x1b\[[0-9;]*m", "", shown.decode()).replace("\r", "").splitlines()
        assert lines
        assert max(map(len, lines)) <= int(columns), words


def test_severity_is_readable_without_colour(full):
    path, _ = full
    assert "HIGH" in failaware("clusters", db=path, NO_COLOR="1").stdout


def test_the_exit_code_of_severity_can_be_asked_for(full):
    path, _ = full
    assert failaware("severity", "--exit-code", "HIGH", db=path).returncode == 1
    assert failaware("severity", "--exit-code", "medium", db=path).returncode == 1
    assert failaware("severity", "--exit-code", "CRITICAL", db=path).returncode == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["event", "99"], "there is no event 99"),
        (["event", "x"], "'x' is not a whole number"),
        (["event", "9" * 25], "larger than a store can hold"),
        (["events", "--limit", "0"], "1 or more"),
        (["cluster", "123"], "there is no cluster"),
        (["explain", "thing/1"], "neither event/ID nor cluster/ID"),
        (["explain", "event/99"], "there is no event 99"),
        (["events", "foo:1"], "there is no field 'foo'"),
        (["events", "since:soon"], "is not a time"),
        (["timeline", "--hours", "0"], "--hours is"),
        (["recovered", "foo:1"], "there is no field 'foo'"),
        (["recovered", "--limit", "0"], "1 or more"),
        (["evnts"], "did you mean 'events'"),
        (["run", "no_such_module"], "there is no module"),
        (["ingest", "no_such_file"], "there is no file"),
        (["requeue", "1"], "--because"),
        (["requeue", "--because", "x"], "exactly one of"),
        (["requeue", "1", "--because", ""], "give the reason in words"),
        (["dismiss", "1", "--because", " "], "give the reason in words"),
        (["erase", "1", "--because", "…"], "give the reason in words"),
        (["archive", "--before", "1d", "--to", "new.db", "--because", "..."], "give the reason in words"),
        (["dismiss", "99", "--because", "x"], "there is no event 99"),
        (["rebuild", "--policy", "no_such_file"], "cannot read"),
        (["tui"], "needs a terminal"),
        (["seed", "--events", "3"], "--events is"),
    ],
)
def test_what_is_wrong_is_one_sentence_and_exit_status_2(full, tmp_path, words, says):
    path, _ = full
    done = failaware(*words, db=path, cwd=tmp_path)
    assert done.returncode == 2
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr


def test_a_store_that_cannot_be_used_is_one_sentence_and_exit_status_2(tmp_path):
    text = tmp_path / "text.db"
    text.write_text("no database " * 500)
    for place, says in [("missing.db", "there is no store"), ("text.db", "not a SQLite database"), (".", "folder")]:
        for report in ("health", "severity", "clusters", "events", "timeline"):
            done = failaware(report, "--db", place, cwd=tmp_path)
            assert (done.returncode, done.stderr.count("\n")) == (2, 1)
            assert says in done.stderr


def test_an_empty_store_says_what_to_do_next(tmp_path):
    Store.open(tmp_path / "failaware.db").close()
    assert "failaware seed" in failaware("health", cwd=tmp_path).stdout
    for report in ("severity", "clusters", "events", "timeline", "recovered", "due"):
        assert failaware(report, cwd=tmp_path).returncode == 0


def test_the_store_comes_from_the_environment_too(full, tmp_path):
    path, _ = full
    assert "9 events" in failaware("health", cwd=tmp_path, FAILAWARE_DB=str(path)).stdout


def test_ingest_counts_exactly_and_says_with_its_exit_status_whether_lines_were_rejected(tmp_path):
    (tmp_path / "in.jsonl").write_text('{"type": "a", "key": "1"}\n{"type": "a", "key": "2"}\n')
    first = failaware("ingest", "in.jsonl", cwd=tmp_path)
    assert (first.returncode, first.stdout) == (0, "2 recorded, 0 rejected\n")
    again = failaware("ingest", "in.jsonl", "-", cwd=tmp_path, stdin='{"type": "b"}\nnonsense\n')
    assert again.returncode == 1
    assert "1 recorded, 2 known by their key, 1 rejected" in again.stdout
    assert "stdin:2: a line must be one JSON object" in again.stdout
    counts = json.loads(failaware("ingest", "--json", "in.jsonl", cwd=tmp_path).stdout)
    assert counts == {"recorded": 0, "known": 2, "rejected": 0, "ignored": 0, "skipped": 0}


def test_what_was_rejected_is_listed_with_the_reason_newest_first(tmp_path):
    lines = '{"type": "a"}\n{"type": 5}\n\x1b[31m{oops\n'
    (tmp_path / "in.jsonl").write_text(lines)
    assert "'failaware rejects' lists it" in failaware("ingest", "in.jsonl", cwd=tmp_path).stdout
    assert "'failaware rejects' shows the reasons" in failaware("health", cwd=tmp_path).stdout
    output = failaware("rejects", cwd=tmp_path)
    assert output.returncode == 0
    newest, oldest = (line for line in output.stdout.splitlines() if "in.jsonl:" in line)
    assert "in.jsonl:3" in newest
    assert "in.jsonl:2" in oldest
    assert "oops" in output.stdout
    assert "the event type must be a string, not int" in output.stdout
    assert "\x1b" not in output.stdout
    (first,) = json.loads(failaware("rejects", "--limit", "1", "--json", cwd=tmp_path).stdout)
    assert (first["reject_id"], first["origin"], first["line_no"]) == (2, "in.jsonl", 3)
    assert "--before 2 shows the next" in failaware("rejects", "--limit", "1", cwd=tmp_path).stdout
    (second,) = json.loads(failaware("rejects", "--before", "2", "--json", cwd=tmp_path).stdout)
    assert second["raw"] == '{"type": 5}'
    assert failaware("rejects", "--before", "1", cwd=tmp_path).stdout == "No reject before that one.\n"


def test_decisions_by_number_by_cluster_and_by_filter(tmp_path):
    path = tmp_path / "store.db"
    handlers = Handlers()

    @handlers.on("*", retry=Retry(max_attempts=1))
    def fails(event):
        raise ValueError(event.event_type)

    with Store.open(path, clock=lambda: START) as store:
        store.record_many((name, 1) for name in "aabbb")
        Worker(store, handlers).run(until_idle=True)
    cluster = json.loads(failaware("clusters", "type:a", "--json", db=path).stdout)[0]["cluster_id"]
    assert "2 events requeued" in failaware("requeue", "--cluster", str(cluster), "--because", "fixed", db=path).stdout
    assert "2 events dismissed" in failaware("dismiss", "3", "4", "--because", "seen", "--by", "ada", db=path).stdout
    assert "1 event dismissed" in failaware("dismiss", "--where", "type:b", "--because", "seen", db=path).stdout
    health = json.loads(failaware("health", "--json", db=path).stdout)
    assert (health["pending"], health["dead"], health["dismissed"]) == (2, 0, 3)
    shown = failaware("event", "3", db=path).stdout
    assert "DISMISS by ada: seen" in shown


def test_rebuild_with_another_policy_stays_in_force(tmp_path, full):
    import shutil

    path = tmp_path / "copy.db"
    shutil.copy(full[0], path)
    (tmp_path / "policy.toml").write_text("multiple_events = 3\n")
    assert failaware("rebuild", "--policy", "policy.toml", db=path, cwd=tmp_path).returncode == 0
    assert json.loads(failaware("severity", "--json", db=path).stdout)["clusters"]["HIGH"] == 0


def test_a_reader_that_closes_the_pipe_gets_no_complaint(full):
    path, _ = full
    done = processes.run(
        f"{sys.executable} -m failaware --db {path} events --json | head -n 1",
        shell=True, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stderr == ""


def test_help_and_version():
    assert "examples:" in failaware("--help").stdout
    assert failaware("--version").stdout.startswith("failaware ")
    assert "--until-idle" in failaware("run", "--help").stdout


def test_a_store_may_be_named_like_a_command(tmp_path):
    with Store.open(tmp_path / "health") as store:
        store.record("a")
    assert json.loads(failaware("--db", "health", "events", "--json", cwd=tmp_path).stdout)[0]["event_id"] == 1
    assert "1 event\n" in failaware("health", "--db", "health", cwd=tmp_path).stdout


def test_a_failure_alone_is_found_although_no_rule_about_clusters_holds(tmp_path, path):
    failed = '{"type": "backup", "error": {"type": "OSError", "message": "no space"}}\n'
    assert failaware("ingest", "-", db=path, stdin=failed).returncode == 0
    assert "events: failaware events severity:HIGH" in failaware("severity", db=path).stdout
    assert "no cluster rule matches" in failaware("clusters", db=path).stdout
    with Inspector.open(path) as inspector:
        (cluster,) = inspector.clusters()
        why = documents.why(inspector.explain(f"cluster/{cluster.cluster_id}"), cluster)
        assert any("each of its unresolved events has its own severity" in line.text for line in why)
    with Store.open(path) as store:
        store.dismiss([1], because="known")
    assert "no cluster rule matches" not in failaware("clusters", db=path).stdout
    with Inspector.open(path) as inspector:
        (cluster,) = inspector.clusters()
        why = documents.why(inspector.explain(f"cluster/{cluster.cluster_id}"), cluster)
        assert any("none of its events is unresolved" in line.text for line in why)


def test_a_run_until_idle_says_what_it_has_not_waited_for(tmp_path, path):
    (tmp_path / "later.py").write_text(
        "from failaware import Handlers, Retry\n"
        "handlers = Handlers()\n"
        "@handlers.on('a', retry=Retry(max_attempts=9, base=60))\n"
        "def fails(event):\n    raise ValueError\n"
    )
    with Store.open(path) as store:
        store.record("a")
    done = failaware("run", "later", "--until-idle", db=path, cwd=tmp_path)
    assert "1 failed and due again" in done.stdout
    assert "without a handler, were left" in done.stderr
    with Store.open(path) as store:
        store.dismiss([1], because="known")
    assert "were left" not in failaware("run", "later", "--until-idle", db=path, cwd=tmp_path).stderr
