"""How many secrets the masker finds, what it masks wrongly, and what it costs: `python -m benchmarks.masking`."""

import json
import time

from failaware.ingest.masking import Masker
from tests.ingest import secrets

PAYLOADS = (
    {"order_id": 17, "amount": 12.5, "currency": "EUR", "items": [{"sku": "A-1", "qty": 2}, {"sku": "B-7", "qty": 1}]},
    {"id": "8f14e45f", "to": "ada@example.com", "template": "welcome", "locale": "de"},
    {"path": "/data/in/a.csv", "rows": 1200, "sha": "3f2a9bc1"},
)
HINTED = {"idempotency_key": "8f14e45f-17", "author": "Ada", "token_count": 12, "lines": [{"code": "A-1", "n": 2}]}
MESSAGE = "connect to 10.0.0.1:8443 timed out after 5.02 s"


def _masked(data):
    return Masker().mask_text(data) if isinstance(data, str) else Masker().mask_value(data)


def _microseconds(function, rounds=5_000):
    quickest = float("inf")
    for _ in range(5):
        began = time.perf_counter()
        for _ in range(rounds):
            function()
        quickest = min(quickest, time.perf_counter() - began)
    return quickest / rounds * 1e6


def main() -> None:
    """Print both rates for each half of the corpus, and the cost of what holds no secret."""
    for half, found, ordinary in (
        ("written first", secrets.FIRST_SECRETS, secrets.FIRST_ORDINARY),
        ("written with the patterns", secrets.TUNED_SECRETS, secrets.TUNED_ORDINARY),
    ):
        hits = sum(secret.leak not in json.dumps(_masked(secret.data)[0]) for secret in found)
        wrong = sum(_masked(data)[1] > 0 for data in ordinary)
        print(f"{half}: {hits} of {len(found)} secrets masked, {wrong} of {len(ordinary)} look-alikes masked wrongly")
    masker = Masker()
    texts = [json.dumps(payload) for payload in PAYLOADS]
    print(
        f"a payload passed over: {_microseconds(lambda: [masker.may_hold(text) for text in texts]) / len(texts):.2f} µs"
    )
    print(f"a payload looked through, without a secret: {_microseconds(lambda: masker.mask_value(HINTED)):.2f} µs")
    print(f"a message: {_microseconds(lambda: masker.mask_text(MESSAGE)):.2f} µs")


if __name__ == "__main__":
    main()
