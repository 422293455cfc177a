"""Measures how many secrets and look-alikes masking gets right, and its cost: `python -m benchmarks.masking`."""

import json
import time

from failaware.capture.secrets.masking import Masker
from tests.capture import secret_corpus
from tests.capture.test_secret_corpus import LOOKALIKE_FILES, SECRET_FILES

FILES = (*SECRET_FILES, *LOOKALIKE_FILES)
PAYLOADS = (
    {"order_id": 17, "amount": 12.5, "currency": "EUR", "items": [{"sku": "A-1", "qty": 2}, {"sku": "B-7", "qty": 1}]},
    {"id": "8f14e45f", "to": "ada@example.com", "template": "welcome", "locale": "de"},
    {"path": "/data/in/a.csv", "rows": 1200, "sha": "3f2a9bc1"},
)
HINTED = {"idempotency_key": "8f14e45f-17", "author": "Ada", "token_count": 12, "lines": [{"code": "A-1", "n": 2}]}
HINTED_MESSAGE = "idempotency_key 8f14e45f-17 of author Ada was used before with token_count 12"
MESSAGE = "connect to 10.0.0.1:8443 timed out after 5.02 s"


def _microseconds(function, rounds=5_000):
    quickest = float("inf")
    for _ in range(5):
        began = time.perf_counter()
        for _ in range(rounds):
            function()
        quickest = min(quickest, time.perf_counter() - began)
    return quickest / rounds * 1e6


def main() -> None:
    """Print the share of each corpus file that is masked correctly, and the cost of a text without secrets."""
    for name in FILES:
        samples = secret_corpus.read(name)
        correct = sum(sample.is_right() for sample in samples)
        print(f"{name}: {correct} of {len(samples)} masked correctly, {correct / len(samples):.1%}")
    masker = Masker()
    texts = [json.dumps(payload) for payload in PAYLOADS]
    took = _microseconds(lambda: [masker.may_hold(text) for text in texts]) / len(texts)
    print(f"a payload without hints: {took:.2f} µs")
    print(f"a payload with hints, without a secret: {_microseconds(lambda: masker.mask_value(HINTED)):.2f} µs")
    print(f"a message without hints: {_microseconds(lambda: masker.mask_text(MESSAGE)):.2f} µs")
    print(f"a message with hints, without a secret: {_microseconds(lambda: masker.mask_text(HINTED_MESSAGE)):.2f} µs")
    began = time.perf_counter()
    masker.mask_text("bearer " * 150_000)
    print(f"a hostile text of 1 MB: {time.perf_counter() - began:.1f} s")


if __name__ == "__main__":
    main()
