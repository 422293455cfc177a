"""Like failures meet, unlike ones stay apart; the same text is the same cluster anywhere."""

import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failaware.derive.fingerprint import cluster_id, fingerprint, template

MEET = [
    ("connect to 10.0.0.1:8443 timed out after 5.02 s", "connect to 10.20.3.9:443 timed out after 31 s"),
    ("user 4711 not found", "user 12 not found"),
    ("no order 550e8400-e29b-41d4-a716-446655440000", "no order 6ba7b810-9dad-11d1-80b4-00c04fd430c8"),
    ("object at 0x7f3a2c is gone", "object at 0x55aa01 is gone"),
    ("GET https://api.example.com/v1/users/7 failed", "GET https://api.example.com/v1/users/8?x=1 failed"),
    ("no such file: /var/data/a/1.csv", "no such file: /var/data/b/22.csv"),
    ("mail to ada@example.com bounced", "mail to bob.k@example.org bounced"),
    ("failed at 2026-11-20T10:03:00Z", "failed at 2026-11-21 23:59:59.123"),
    ("got 'abc def'", "got 'xyz 12'"),
    ("wrote 12 MB of 30 MB", "wrote 7 MB of 9 MB"),
    ("commit 3f2a9bc1 refused", "commit 99ab01cd refused"),
    ("deleted 1 file", "deleted 3 files"),
    ("retry in 30 seconds", "retry in 2 minutes"),
    ("bad request body {'a': 1, 'b': [2]}", "bad request body {'x': 'y', 'z': 3}"),
]
APART = [
    ("connection refused", "connection reset"),
    ("column 'email' may not be null", "column 'phone_e164' may not be null"),
    ("HTTP 404 from upstream", "HTTP 503 from upstream"),
    ("[Errno 111] refused", "[Errno 104] refused"),
    ("exit status 1", "exit status 137"),
    ("read timed out", "connect timed out"),
    ("'utf-8' codec", "'ascii' codec"),
    ("sha256 mismatch", "md5 mismatch"),
    ("404 Client Error", "500 Server Error"),
    ("SQLSTATE: 23505", "SQLSTATE: 40001"),
]


@pytest.mark.parametrize(("one", "other"), MEET)
def test_failures_that_differ_in_values_meet(one, other):
    assert fingerprint("t", "E", one) == fingerprint("t", "E", other)


@pytest.mark.parametrize(("one", "other"), APART)
def test_failures_that_differ_in_meaning_stay_apart(one, other):
    assert fingerprint("t", "E", one)[0] != fingerprint("t", "E", other)[0]


def test_another_event_type_or_error_type_is_another_cluster():
    assert len({fingerprint(event, error, "same")[0] for event in "ab" for error in ("X", "Y", None)}) == 6


def test_a_template_names_what_it_masks():
    assert template("connect to 10.0.0.1:8443 timed out after 5.02 s") == "connect to <ip> timed out after <duration>"
    assert template(None, "KeyError") == template("  ", "KeyError") == "KeyError"
    assert template("") == "(no message)"


def test_all_placeholders_count_as_one():
    assert cluster_id("t", "E", "took <duration>") == cluster_id("t", "E", "took <n>")


@given(st.text(st.characters(categories=None), max_size=200), st.sampled_from([None, "E"]))
def test_any_text_has_a_cluster(text, error_type):
    number, name = fingerprint("t", error_type, text)
    assert 0 < number < 2**63
    assert name


def test_other_processes_find_the_same_cluster():
    program = (
        "from failaware.derive.fingerprint import fingerprint; print(fingerprint('t', 'E', 'user 7 not found')[0])"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("0", "1")
    }
    assert seen == {f"{fingerprint('t', 'E', 'user 7 not found')[0]}\n"}


@pytest.mark.parametrize(
    "piece", ["{", "[", "'", "a=", "1.", "-", "/a", "0x", "a1_", ":", "a@", "%", "<n> ", "\n", "1-", "(("]
)
def test_hostile_text_of_any_size_takes_no_time(piece):
    began = time.process_time()
    template(piece * (1_000_000 // len(piece)))
    assert time.process_time() - began < 0.5
