"""The masker itself: names, copies, depth, any text. What it finds is measured in test_secrets.py."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failaware.capture.secrets.masking import MASK, Masker


@pytest.mark.parametrize(
    "key", ["password", "clientSecret", "API-KEY", "access_token", "Set-Cookie", "privateKey", "jwt"]
)
def test_a_value_under_a_secret_name_is_masked(key):
    assert Masker().mask_value({"a": [{key: "anything", "n": 1}]}) == ({"a": [{key: MASK, "n": 1}]}, 1)


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
