"""Words are found in one pass over a text, with and without the library for it."""

import json
import subprocess
import sys
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from failaware.capture.secrets import formats, hints, masking, names, tokens, words
from tests.sizes import sized

WORDS = ("-----", " -", "pass", "passcode", "code", "?code", "@", "$", "a", "ab", "пароль")
texts = st.lists(st.sampled_from((*WORDS, *"-? o\ud800"))).map("".join)


@given(text=texts)
def test_all_words_are_found_even_where_they_overlap(text):
    assert words.words_in(WORDS)(text) == {word for word in WORDS if word in text}


def test_without_the_library_the_same_words_are_found(monkeypatch):
    monkeypatch.setitem(sys.modules, "ahocorasick_rs", None)
    assert words._automaton(list(WORDS)) is None
    assert words.words_in(WORDS)("a ----- ?code") == {"-----", " -", "code", "?code", "a"}


ENDS_WHILE_THREADS_MASK = """
import threading, time
from failaware.capture.secrets.masking import Masker
def mask():
    while True:
        Masker().mask_text("the order 17 was not found in the list " * 100)
for _ in range(8):
    threading.Thread(target=mask, daemon=True).start()
time.sleep(0.1)
"""


@pytest.mark.large
def test_a_program_that_ends_while_daemon_threads_mask_keeps_its_exit_status():
    for _ in range(sized(3, 30)):
        done = subprocess.run(
            [sys.executable, "-c", ENDS_WHILE_THREADS_MASK], capture_output=True, timeout=60, check=False
        )
        assert (done.returncode, done.stderr) == (0, b"")


def test_once_the_interpreter_ends_the_library_is_not_entered_and_a_stopped_thread_not_waited_for(monkeypatch):
    monkeypatch.setattr(words, "_searching", [None])  # a thread that never comes back
    monkeypatch.setattr(words, "_ended", False)
    monkeypatch.setattr(words, "_WAIT_S", 0.01)
    monkeypatch.setattr(words, "_automaton", lambda _words: pytest.fail)
    find = words.words_in(WORDS)
    words._end()
    assert find("a code") == {"code", "a"}


def test_words_of_arguments_are_in_lower_case():
    assert all(word == word.lower() for word in (*masking.ARGUMENT_HINTS, *hints.HINTS))


BARE = {  # a text with each format and nothing else that announces a secret
    "private key": "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA1c7\n-----END RSA PRIVATE KEY-----",
    "private key of PuTTY": "PuTTY-User-Key-File-3: ssh-rsa\nPrivate-Lines: 1\nAAAAgQCX1v2b3n4m5k6j7h8g9f",
    "password in a URL": "at postgres://ann:s3cr3t@db/x",
    "token in a URL": "at https://x0x1x2x3x4x5x6x7@example.com/x",
    "password in an address that is not a URL": "at scott//thin:tig3r@orcl",
    "key in a query": "GET /x?code=a1b2c3d4e5f6g7h8i9",
    "credentials after their scheme": "Bearer a1B2c3D4e5F6",
    "JSON web token": "eyJhbGciOiJIUzI1.eyJzdWIiOiIxMjM0",
    "signature in a URL": "GET /x?sig=a1b2c3d4e5",
    "webhook address": "POST https://hooks.zapier.com/hooks/catch/123/abcdef/",
    "statement of a database": "CREATE USER a IDENTIFIED BY 'tig3r'",
    "login of a mail protocol": "C: AUTH PLAIN AGFubgBzM2NyM3Q=",
    "login of IMAP, Redis or FTP": "a1 LOGIN ann s3cr3t",
    "third argument of a connection": 'new Db.connect("db-1", "ann", "s3cr3t")',
    "hash of a password": "ann:$6$rounds$a1b2c3d4e5f6a1b2c3d4e5f6a1b2c3",
    "hash of a password by argon2 or PBKDF2": "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$RdescudvJCsgt3ub+b",
    "line of .pgpass": "db-1:5432:shop:ann:s3cr3t",
    "data of a Kubernetes secret": "kind: Secret\ndata:\n  a: czNjcjN0\n",
    "words of a wallet": "phrase: " + "able acid aged also area army away baby back ball band bank",
}


def test_every_format_has_a_text_below():
    assert set(BARE) == {each.name for each in formats.FORMATS}


@pytest.mark.parametrize("name", BARE)
def test_a_secret_is_recognized_by_its_format_alone(name):
    """The words for which all texts are searched first must not hide a format."""
    text = BARE[name]
    assert masking.Masker().mask_text(text)[1]
    (format_,) = (each for each in formats.FORMATS if each.name == name)
    assert [*formats.formatted_secrets(text, text.lower())]
    assert format_.pattern.search(text)


PARTS = (
    "api access secret private session id key keys code codes card number credit recovery backup pass word phrase auth "
    "token tokens 2 fa mfa login one time reset seed data user old hash value primary author inside keyboard cookies"
)
parts = st.sampled_from([*PARTS.split(), *sorted(names.SECRETS | names.PLURALS), *sorted(names.UNMISTAKABLE)])
written = st.tuples(parts, st.sampled_from([str.lower, str.capitalize, str.upper])).map(lambda part: part[1](part[0]))
secret_names = st.tuples(st.lists(written, min_size=1, max_size=4), st.sampled_from(["_", "-", ".", " ", ""])).map(
    lambda name: name[1].join(name[0])
)


@given(secret_names)
@settings(max_examples=sized(300, 5_000))
def test_every_name_of_a_secret_is_a_hint(name):
    if names.is_secret_name(name) or names.is_secret_list_name(name):
        assert masking.Masker().may_hold(json.dumps({"inside": "the author", name: "x"}))


def test_ordinary_words_contain_hints_and_are_no_names_of_secrets():
    for word in hints._ORDINARY:
        assert any(part in word for part in hints._LETTERS)
        assert not any(names.is_secret_name(form) for form in (word, word.upper(), word.capitalize(), f"my_{word}"))
        assert not masking.Masker().may_hold(f'{{"my_{word}":1,"of":"{word.upper()}, of"}}')


@pytest.mark.parametrize(
    "text", ["primary_key", "postal code", "session_length", "playing card", "https://a.b/c, a@b.c"]
)
def test_a_word_that_is_a_hint_only_next_to_others(text):
    assert not masking.Masker().may_hold(json.dumps({text: text}))


@pytest.mark.parametrize("before", ["\n", "\t", "\r", "", " ", "x ", "\\n"])
def test_a_token_after_an_escape_is_a_hint(before):
    assert masking.Masker().may_hold(json.dumps(f"line{before} ghp_abcdefghijklmnopqrstuvwxyz0123456789"))
    if before in {"\n", "\t", "\r"}:
        assert masking.Masker().may_hold(json.dumps(f"line{before}ghp_abcdefghijklmnopqrstuvwxyz0123456789"))


SECRETS = [
    *BARE.values(),
    "api_key: x1y2z3w4",
    "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
    "4111 1111 1111 1111",
    "пароль",
]
HARMLESS = [
    "mysql -u ann",
    "-p",
    "left at the gate",
    "api",
    "key",
    "ghp_",
    "4111 1111",
    "Zo\u00eb",
    "\u0130",
    "x" * 16,
    "",
]


@given(st.lists(st.sampled_from([*SECRETS, *HARMLESS, "mysql -u ann -ps3cr3t"]), min_size=1, max_size=5))
@settings(max_examples=sized(300, 10_000))
def test_what_one_text_may_hold_is_seen_when_many_are_searched_together(among):
    masker = masking.Masker()
    payloads = [json.dumps(text, ensure_ascii=False) for text in among]
    if masker.none_holds(payloads):
        assert not any(map(masker.may_hold, payloads))


def test_texts_without_a_hint_are_searched_together_and_hold_nothing():
    assert masking.Masker().none_holds(["[1,2]", '"the primary key"', '{"author":"Ann"}'])
    assert masking.Masker(enabled=False).none_holds(SECRETS)
    assert not masking.Masker(["order"]).none_holds(["1"])


NAMES = [
    *("token_count", "prompt_tokens", "max_tokens", "secret_length", "password_type", "session_limit", "api_key_count"),
    *("token", "tokens", "key", "api", "session", "id", "author", "uk_tokens", "token_idx", "code", "recovery", "card"),
]
BETWEEN = ["=", ": ", " ", '": "', "\n", "_", ".", " is ", "\\n", "' for key '", ", ", "1"]
VALUES_ = ["x1y2z3w4v5u6t7", "12", "abc", "'a1-b2-c3'", "550e8400-e29b-41d4-a716-446655440000"]


@given(st.lists(st.tuples(*map(st.sampled_from, (NAMES, BETWEEN, [*NAMES, *VALUES_], BETWEEN))), max_size=4))
@settings(max_examples=sized(200, 2_000))
def test_a_payload_in_which_something_would_be_masked_has_a_hint(parts_of_text):
    text = "".join("".join(part) for part in parts_of_text)
    payload = {"text": text, **{name: value for name, _, value, _ in parts_of_text}}
    with mock.patch.object(masking, "is_hinted", return_value=True):
        _, hits = masking.Masker().mask_value(payload)
    assert not hits or masking.Masker().may_hold(json.dumps(payload))


@pytest.mark.parametrize(
    "payload",
    [{"token_count": 12}, {"usage": {"prompt_tokens": 8, "total_tokens": 20}}, {"text": "max_tokens, password_length"}],
)
def test_a_name_of_a_number_is_no_hint(payload):
    assert not masking.Masker().may_hold(json.dumps(payload))


ROWS = [
    "550e8400-e29b-41d4-a716-446655440000",
    "0" * 40,
    "v1.0-",
    "=",
    "/",
    ".",
    " ",
    '"',
    "x",
    "-us1",
    "sk-",
    "a1" * 60,
]


@given(st.lists(st.sampled_from([*ROWS, "ghp_" + "a1" * 20, "AKIA" + "A1" * 8]), max_size=6).map("".join))
@settings(max_examples=sized(200, 2_000))
def test_digests_and_uuids_are_passed_over_only_where_no_token_is(text):
    latin = text.encode("latin-1", "replace")
    with mock.patch.object(tokens, "_AROUND", tokens._AROUND.replace(b"h", b"x")):
        every = tokens.tokens(f"{text} x", latin + b" x")
    assert tokens.tokens(f"{text} x", latin + b" x") == every
