"""The corpus of `secret_corpus`: masking gets right and wrong what is marked so, and its rates are high enough."""

import json

import pytest

from failaware.capture.secrets.masking import MASK, Masker
from tests.capture.secret_corpus import read

SECRET_FILES = ("shapes", "sentences", "fresh", "fresh2", "fresh3", "fresh4", "fresh5")
LOOKALIKE_FILES = ("lookalikes", "fresh_lookalikes", "fresh_lookalikes2", "fresh_lookalikes3", "fresh_lookalikes4")
FLOORS = dict.fromkeys(SECRET_FILES, 0.88) | dict.fromkeys(LOOKALIKE_FILES, 0.98)
SECRETS = [sample for name in SECRET_FILES for sample in read(name)]
LOOKALIKES = [sample for name in LOOKALIKE_FILES for sample in read(name)]


@pytest.mark.parametrize("name", FLOORS)
def test_masking_is_right_as_often_as_the_documentation_says(name):
    samples = read(name)
    assert [sample.text for sample in samples if sample.is_right() == sample.known_miss] == []
    assert sum(sample.is_right() for sample in samples) >= FLOORS[name] * len(samples)


def test_masking_what_is_masked_changes_nothing():
    masker = Masker()
    for sample in SECRETS:
        once, _ = masker.mask_text(sample.text)
        assert masker.mask_text(once) == (once, 0)


def test_a_secret_is_masked_wherever_it_is_in_a_text():
    for sample in SECRETS:
        if sample.known_miss or "\n" in sample.text:  # what has lines of its own may need the first one
            continue
        masked, _ = Masker().mask_text(f"2026-11-28 10:00:01 ERROR app: {sample.text}\nnext line")
        for secret in sample.secrets:
            assert secret not in masked, sample.text


def test_a_payload_is_masked_as_its_text_is_and_the_quick_look_passes_over_none():
    masker = Masker()
    for sample in SECRETS:
        if sample.known_miss:
            continue
        assert masker.may_hold(json.dumps(sample.text, ensure_ascii=False)), sample.text
        masked, hits = masker.mask_value({"log": [sample.text]})
        assert hits
        assert masked == {"log": [masker.mask_text(sample.text)[0]]}


def test_decoded_json_of_the_corpus_loses_the_same_secrets():
    decoded = 0
    for sample in SECRETS:
        try:
            value = json.loads(sample.text)
        except ValueError:
            continue
        decoded += isinstance(value, dict)
        masked = json.dumps(Masker().mask_value(value)[0], ensure_ascii=False)
        assert sample.known_miss or not any(secret in masked for secret in sample.secrets), sample.text
    assert decoded >= 20


def test_lookalikes_stay_in_payloads():
    for sample in LOOKALIKES:
        value = {"log": sample.text}
        assert sample.known_miss or Masker().mask_value(value) == (value, 0)


@pytest.mark.parametrize(
    ("value", "masked"),
    [
        (["sshpass", "-p", "hunter2X9", "ssh", "h"], ["sshpass", "-p", MASK, "ssh", "h"]),
        (["/usr/bin/mysql", "-uroot", "-phunter2X9"], ["/usr/bin/mysql", "-uroot", f"-p{MASK}"]),
        (["curl", "-u", "bob:hunter2X9", "https://x"], ["curl", "-u", f"bob:{MASK}", "https://x"]),
        (["docker", "login", "-u", "b", "-p", "hunter2X9"], ["docker", "login", "-u", "b", "-p", MASK]),
        (["docker", "run", "-p", "8080:80"], ["docker", "run", "-p", "8080:80"]),
        (["mkdir", "-p", "/var/lib/app"], ["mkdir", "-p", "/var/lib/app"]),
        ({"secrets": {"db": "hunter2X9", "on": True}}, {"secrets": {"db": MASK, "on": True}}),
        ({"tokens": ["the", "cat"]}, {"tokens": ["the", "cat"]}),
        ({"tokens": 1500}, {"tokens": 1500}),
        ({"refreshTokens": ["aB3dE5gH7jK9"]}, {"refreshTokens": [MASK]}),
        ({"loc": ["body", "password"], "input": "hunter2X9"}, {"loc": ["body", "password"], "input": MASK}),
        ({"loc": ["body", "name"], "input": "Ada"}, {"loc": ["body", "name"], "input": "Ada"}),
        ({"пароль": "hunter2X9"}, {"пароль": MASK}),
        ({"contraseña": "hunter2X9"}, {"contraseña": MASK}),
    ],
)
def test_values_that_their_surroundings_announce(value, masked):
    assert Masker().mask_value(value)[0] == masked


def test_names_of_ones_own_in_any_alphabet():
    masker = Masker(["steuer-id", "число"])
    assert masker.mask_text("steuer_id=12345678901 число=77777 other=1")[0] == f"steuer_id={MASK} число={MASK} other=1"
    assert masker.mask_value({"Steuer ID": "123", "---": "456"})[0] == {"Steuer ID": MASK, "---": "456"}


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("CREATE USER a IDENTIFIED BY 'hunter2X9';", f"CREATE USER a IDENTIFIED BY '{MASK}';"),
        ('{"q": "IDENTIFIED BY \\"hunter2X9\\""}', f'{{"q": "IDENTIFIED BY \\"{MASK}\\""}}'),
        ("postgresql://app:hunter2X9@db/x", f"postgresql://app:{MASK}@db/x"),
        ("login(password=b'hunter2X9', n=1)", f"login(password=b'{MASK}', n=1)"),
        ("Key (id, token)=(7, hunter2X9) exists", f"Key (id, token)=(7, {MASK}) exists"),
        ("mysql -uroot -phunter2X9 prod", f"mysql -uroot -p{MASK} prod"),
    ],
)
def test_what_is_around_a_secret_stays(text, masked):
    assert Masker().mask_text(text) == (masked, 1)
