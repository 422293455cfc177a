"""The version of the derivation: a digest of everything that determines what is derived from the same facts.

Only FINGERPRINT_VERSION, for Python code, is incremented by hand. The default thresholds are included; a store's own
policy and grouping rules are not, because they are kept in the store.
"""

from functools import cache
from hashlib import sha256

from failaware.derive import FINGERPRINT_VERSION
from failaware.derive.scope import all_sql
from failaware.derive.severity import CLUSTER_EVIDENCE, CLUSTER_NUMBERS, cluster_reason
from failaware.engine.derivation import Derivation, mark
from failaware.engine.sql import digest_of
from failaware.rules import RULES, Rule, default_policy
from failaware.version import __version__

_SAMPLES = tuple(dict.fromkeys(CLUSTER_NUMBERS, number) for number in (0, 1, 2))
"""Sample evidence for the digest of a rule's sentence: none, one, and two of everything."""


@cache
def our_derivation() -> Derivation:
    """The mark that this version of failaware writes into stores."""
    defaults = (f"{name} = {value}" for name, value in sorted(default_policy().parameters().items()))
    rules = (part for rule in RULES for part in _parts(rule))
    return mark(
        __version__,
        digest_of((f"fingerprint {FINGERPRINT_VERSION}", *defaults, *rules, CLUSTER_EVIDENCE, *all_sql())),
    )


def _parts(rule: Rule) -> tuple[str, ...]:
    """The parts of a rule that count, with its rendered sentences; white space counts in these."""
    sentences = [cluster_reason(rule.name, sample) for sample in _SAMPLES] if rule.of == "cluster" else []
    return rule.name, rule.of, rule.severity, rule.condition, sha256("\0".join(sentences).encode()).hexdigest()
