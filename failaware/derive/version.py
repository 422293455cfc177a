"""The version of the derivation: a digest of all that decides what is derived from the same facts.

Nobody has to raise a number for it, but FINGERPRINT_VERSION for code. A store's own policy and grouping rules are no
part of it, since they are kept with the store; the thresholds that a store without a policy has are.
"""

from functools import cache
from hashlib import sha256

from failaware.derive import FINGERPRINT_VERSION
from failaware.derive.rules import RULES, Rule, default_policy
from failaware.derive.scope import all_sql
from failaware.derive.severity import CLUSTER_EVIDENCE, CLUSTER_NUMBERS, cluster_reason
from failaware.engine.derivation import Derivation, mark
from failaware.engine.sql import digest_of
from failaware.version import __version__

_SAMPLES = tuple(dict.fromkeys(CLUSTER_NUMBERS, number) for number in (0, 1, 2))
"""Evidence for which a rule's sentence is written: none, one, and several of everything."""


@cache
def our_derivation() -> Derivation:
    """The mark of a store that this failaware has derived."""
    defaults = (f"{name} = {value}" for name, value in sorted(default_policy().parameters().items()))
    rules = (part for rule in RULES for part in _parts(rule))
    return mark(
        __version__,
        digest_of((f"fingerprint {FINGERPRINT_VERSION}", *defaults, *rules, CLUSTER_EVIDENCE, *all_sql())),
    )


def _parts(rule: Rule) -> tuple[str, ...]:
    """A rule, with what it says rather than how that is written; in a sentence white space counts."""
    sentences = [cluster_reason(rule.name, sample) for sample in _SAMPLES] if rule.of == "cluster" else []
    return rule.name, rule.of, rule.severity, rule.condition, sha256("\0".join(sentences).encode()).hexdigest()
