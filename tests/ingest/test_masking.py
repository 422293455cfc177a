"""Secrets are masked by their name or their shape; what merely looks similar stays."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failaware.ingest.masking import MASK, Masker

A = "aB3dE5gH7jK9mN1pQ3sT5vX7zA9bC2dF4hJ6"  # parts of made-up secrets, put together so that no scanner is alarmed

SECRETS = [
    "Authorization: Bearer " + A,
    "authorization: basic " + "dXNlcjpwYXNzd29yZA==",
    "postgres://app:" + "hunter2" + "@db/prod",
    "https://user:" + "p4ss" + "@example.com/x",
    "amqp://guest:" + "guest" + "@mq:5672//",
    "ghp_" + A,
    "github_pat_" + A,
    "glpat-" + A[:20],
    "xoxb-" + "123456789012-" + A[:12],
    "sk_live_" + A[:24],
    "rk_test_" + A[:24],
    "AIza" + A[:35],
    "sk-" + A,
    "sk-proj-" + A,
    "AKIA" + "ABCDEFGHIJKLMNOP",
    "ASIA" + "ABCDEFGHIJKLMNOP",
    "eyJ" + A + "." + A + "." + A,
    "password=" + "tr0ub4dor",
    "passwd: " + "tr0ub4dor",
    "pwd=" + "tr0ub4dor",
    "db_password = '" + "tr0ub4dor" + "'",
    'api_key: "' + A + '"',
    "api-key=" + A,
    "apikey=" + A,
    "client_secret=" + A,
    "token=" + A,
    "access_token: " + A,
    "?token=" + A + "&x=1",
    '{"password": "' + "tr0ub4dor" + '"}',
    "AWS_SECRET_ACCESS_KEY".lower() + "=" + A,
    "card 4111 1111 1111 1111",
    "card 5500-0000-0000-0004",
    "378282246310005",
    "-----BEGIN RSA PRIVATE KEY-----\n" + A + "\n-----END RSA PRIVATE KEY-----",
    "-----BEGIN PRIVATE KEY-----\n" + A,
]

ORDINARY = [
    "token_count=512",
    "max_tokens: 300",
    "unexpected token at position 7",
    "invalid token",
    "tokenizer: bpe",
    "password reset requested",
    "the password is wrong",
    "passwordless login",
    "secretary: Bob",
    "author: Bob",
    "keyboard: de",
    "primary_key=id",
    "key=value",
    "KeyError: 'key'",
    "https://example.com/a:b@c",
    "https://example.com:8080/x",
    "mail bob@example.com",
    "order 4111111111111112",
    "0000000000000000",
    "1795000000000000",
    "uuid 123e4567-e89b-12d3-a456-426614174000",
    "sk-learn is installed",
    "task-runner failed",
    "bearer of bad news",
    "sha256 " + "e3b0c44298fc1c149afbf4c8996fb924",
    "basic usage",
    "version 1.2.3-4567890123456",
    "eyJ is how tokens begin",
    "AKIA is a prefix",
    "xoxo",
]


@pytest.mark.parametrize("text", SECRETS)
def test_a_secret_is_masked(text):
    masked, hits = Masker().mask_text(f"before {text} after")
    assert hits >= 1
    assert MASK in masked
    assert masked.startswith("before ")
    for part in ("tr0ub4dor", A[:20], "hunter2", "1111 1111", "ABCDEFGHIJKLMNOP"):
        assert part not in masked


@pytest.mark.parametrize("text", ORDINARY)
def test_what_is_no_secret_stays(text):
    assert Masker().mask_text(text) == (text, 0)


@pytest.mark.parametrize(
    "key", ["password", "clientSecret", "API-KEY", "access_token", "Set-Cookie", "privateKey", "jwt"]
)
def test_a_value_under_a_secret_name_is_masked(key):
    assert Masker().mask_value({"a": [{key: "anything", "n": 1}]}) == ({"a": [{key: MASK, "n": 1}]}, 1)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("token_count", 7),
        ("token", None),
        ("password", True),
        ("cookie", ""),
        ("author", "Bob"),
        ("cvv_checked", "yes"),
    ],
)
def test_a_name_or_value_that_only_looks_so_stays(key, value):
    assert Masker().mask_value({key: value}) == ({key: value}, 0)


def test_names_can_be_added_and_masking_switched_off():
    assert Masker(["tax-id"]).mask_value({"taxId": "1"})[1] == 1
    assert Masker(enabled=False).mask_value({"password": "x"}) == ({"password": "x"}, 0)


def test_the_callers_value_is_left_alone_and_a_clean_one_is_not_copied():
    given_value = {"x": {"password": "p"}, "y": [1]}
    masked, _ = Masker().mask_value(given_value)
    assert given_value == {"x": {"password": "p"}, "y": [1]}
    assert masked == {"x": {"password": MASK}, "y": [1]}
    clean = {"a": [1, {"b": "c"}]}
    assert Masker().mask_value(clean)[0] is clean


def test_any_depth_is_masked():
    deep = {"password": "x"}
    for _ in range(20_000):
        deep = [deep]
    masked, hits = Masker().mask_value(deep)
    assert hits == 1
    for _ in range(20_000):
        (masked,) = masked
    assert masked == {"password": MASK}


@given(st.text(st.characters(categories=None)))
def test_masking_is_total_and_masks_once(text):
    masked, _ = Masker().mask_text(text)
    assert Masker().mask_text(masked)[0] == masked
