"""Secrets and look-alikes from the development of the patterns, and all places that must be masked."""

import hashlib
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failaware.capture.exit_status import TAIL, Ended, describe_end
from failaware.capture.secrets.masking import MASK, Masker
from failaware.cli.main import main
from failaware.integrations.task_log import TaskLog
from tests.capture import secrets
from tests.conftest import query

SECRETS = (*secrets.FIRST_SECRETS, *secrets.TUNED_SECRETS)
ORDINARY = (*secrets.FIRST_ORDINARY, *secrets.TUNED_ORDINARY)
TOKEN = "ghp_" + secrets.A[:36]


def masked(data):
    masker = Masker()
    return masker.mask_text(data) if isinstance(data, str) else masker.mask_value(data)


def test_the_corpus_is_wide_enough():
    assert len(SECRETS) >= 60
    assert len(ORDINARY) >= 60


@pytest.mark.parametrize("secret", SECRETS, ids=lambda secret: secret.what)
def test_a_secret_is_masked_in_any_place(secret):
    kept, hits = masked(secret.data)
    assert hits
    assert secret.leak not in json.dumps(kept)
    assert MASK in json.dumps(kept)


@pytest.mark.parametrize("secret", [secret for secret in SECRETS if isinstance(secret.data, str)], ids=lambda s: s.what)
def test_text_before_a_secret_is_kept(secret):
    kept, _ = masked(f"before {secret.data} after")
    assert secret.leak not in kept
    assert kept.startswith("before ")


@pytest.mark.parametrize("data", ORDINARY, ids=str)
def test_a_lookalike_is_kept(data):
    assert masked(data) == (data, 0)


@pytest.mark.parametrize("secret", SECRETS, ids=lambda secret: secret.what)
def test_masking_what_is_masked_changes_nothing(secret):
    once, _ = masked(secret.data)
    assert masked(once)[0] == once


@pytest.mark.parametrize("secret", SECRETS, ids=lambda secret: secret.what)
def test_the_quick_look_at_a_payload_misses_none(secret):
    assert Masker().may_hold(json.dumps(secret.data, ensure_ascii=False))


@pytest.mark.large
@given(
    st.recursive(
        st.text(max_size=30) | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_what_the_quick_look_passes_over_holds_none(value):
    masker = Masker()
    text = json.dumps(value, ensure_ascii=False)
    assert masker.may_hold(text) or masker.mask_value(value)[1] == 0


@pytest.mark.thinned
@pytest.mark.parametrize(
    "piece",
    ["password=", "a:", "-----BEGIN PRIVATE KEY-----", "://a:", '\\"', "<a>", "--p ", "eyJ", "4111 ", "token is "]
    + ["password", "mysql -p", "Key (token)=(", "[SQL: ", "\u5bc6\u7801", "bearer ", "PASS a\n", "//a:", "tokens: ["]
    + ['Authorization: =""', 'x="', 'cookie: ="a"', "key ", "sk-a-", "('token', ", '"name": "token", '],
)
def test_hostile_text_is_masked_in_linear_time(piece):
    quickest = 1.0
    for _ in range(3):
        began = time.process_time()
        Masker().mask_text(piece * (32_768 // len(piece)))
        quickest = min(quickest, time.process_time() - began)
    assert quickest < 0.3, "under 0.1 s on an idle machine: 3 µs a byte"


def everything(store):
    tables = ("event_log", "event_key", "attempt_log", "traceback_log", "decision_log", "reject_log")
    return json.dumps([query(store, f"SELECT * FROM {table}") for table in tables])


@pytest.mark.tour
def test_no_column_of_the_log_keeps_it(store, path, tmp_path, capsys):
    """Payload, key, source, fingerprint, error, reason, rejected line, and the reason of a rejection."""
    store.record("job", {"note": TOKEN}, key=f"k {TOKEN}", source=f"s {TOKEN}", fingerprint=f"f {TOKEN}")
    lines = tmp_path / "lines.jsonl"
    error = {"type": "E", "message": TOKEN, "traceback": TOKEN}
    lines.write_text(
        json.dumps({"type": "job", "payload": {"pass\\u0077ord": "tr0ub4dor"}}).replace("\\\\u", "\\u")
        + "\n"
        + json.dumps({"type": "job", "error": error})
        + "\n"
        + json.dumps({"type": "job", "occurred_at": TOKEN})
        + f"\nnot JSON {TOKEN}\n"
    )
    main(["--db", str(path), "ingest", str(lines)])
    store.requeue([3], because=f"try {TOKEN}")
    shown = "".join(capsys.readouterr())
    for kept in (everything(store), shown):
        assert TOKEN[4:] not in kept
        assert "tr0ub4dor" not in kept


@pytest.mark.tour
@pytest.mark.parametrize(
    "line",
    [b'{"type": "job", "p\\u0061ssword": "tr0ub4dor"}', '{"type": 1, "password": "tr0ub4dor"}'.encode("utf-16")],
)
def test_a_rejected_line_hides_nothing_in_escapes_or_in_utf_16(store, path, tmp_path, line):
    first = json.dumps(
        {"type": "first", "payload": "x" * 2_000}
    ).encode()  # a file that begins as UTF-16 is refused whole
    (tmp_path / "lines.jsonl").write_bytes(first + b"\n" + line + b"\n")
    assert main(["--db", str(path), "ingest", str(tmp_path / "lines.jsonl")]) == 1
    kept = "".join(raw for (raw,) in query(store, "SELECT raw FROM reject_log"))
    assert "[masked]" in kept
    assert "tr0ub4dor" not in kept.replace("\0", "").replace("\\x00", "")


def test_a_name_that_stands_twice_hides_nothing(store, path, tmp_path):
    lines = tmp_path / "lines.jsonl"
    lines.write_text('{"type": "job", "payload": {"a": {"password": "tr0ub4dor", "password": null}}}\n')
    assert main(["--db", str(path), "ingest", str(lines)]) == 0
    assert query(store, "SELECT event_payload FROM event_log") == [('{"a":{"password":null}}',)]


def test_a_key_of_which_only_the_end_was_kept_is_gone():
    """The last 16 KiB of what a program wrote may begin inside a private key."""
    lines = "\n".join(secrets.A + f"{n:04}" for n in range(50))
    written = f"{lines}\n-----END RSA PRIVATE KEY-----\n" + "a line of the log\n" * 800
    tail = (f"-----BEGIN RSA PRIVATE KEY-----\n{lines}\n" + written).encode()[-TAIL:]
    kept = describe_end(Ended(3, 0, 1, err=tail), masker=Masker())
    assert kept is not None
    assert secrets.A[10:40] not in repr(kept)
    assert "a line of the log" in repr(kept)


def test_no_digest_of_a_long_name_or_of_a_record_can_be_guessed(store, path, tmp_path, capsys):
    text = "x" * 600 + " otp=482913"
    record = {"severityNumber": 17, "body": {"stringValue": "otp=482913"}}
    request = {"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}
    event = {"specversion": "1.0", "id": text, "source": "/s", "type": "t"}
    (tmp_path / "in.jsonl").write_text(json.dumps(request) + "\n" + json.dumps(event) + "\n")
    assert main(["--db", str(path), "ingest", str(tmp_path / "in.jsonl")]) == 0
    kept = everything(store)
    raw = json.dumps([{}, {}, record], sort_keys=True).encode()
    for guess in (raw, f"/s {text}".encode(), text.encode()):
        assert hashlib.sha256(guess).hexdigest()[:16] not in kept
    assert main(["--db", str(path), "ingest", str(tmp_path / "in.jsonl")]) == 0
    assert everything(store) == kept


def test_a_task_that_replaces_another_has_no_secret_in_its_key(store):
    queue = TaskLog(store, "q")
    for name in ("a", "b"):
        queue.write(f"token={secrets.A[:30]}", name, {})
    assert len(query(store, "SELECT key FROM event_key")) == 2
    assert secrets.A[:30] not in everything(store)


@pytest.mark.tour
def test_keys_that_differ_in_a_secret_only_are_two(store):
    one, other = (store.record("job", {}, key=f"token={secrets.A[n : n + 30]}") for n in (0, 9))
    again = store.record("job", {}, key=f"token={secrets.A[:30]}")
    assert one.event_id != other.event_id
    assert again.known
    assert again.event_id == one.event_id


@pytest.mark.parametrize("name", ["sid", "Sid0", "SID_1", "sid-2"])
def test_a_session_id_is_seen_by_the_quick_look_however_it_is_numbered(name):
    masker = Masker()
    assert masker.mask_value({name: "0"})[1] == 1
    assert masker.may_hold(f'{{"{name}":"0"}}')
