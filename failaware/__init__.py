"""failaware: failures are immutable facts, severity is derived, decisions remain human.

The public names load on first use, so that `import failaware` costs next to nothing.
"""

from failaware.version import __version__

TYPE_CHECKING = False  # as type checkers read it; importing typing would cost more than all the rest here

if TYPE_CHECKING:
    from failaware.errors import FailawareError, NotFound, Permanent, RetryAfter, StoreError, UsageError
    from failaware.model import Event, Severity, SyncStatus
    from failaware.read.inspector import Inspector
    from failaware.store import Store
    from failaware.worker.handlers import Handlers
    from failaware.worker.retry import Retry
    from failaware.worker.transaction import Transaction
    from failaware.worker.worker import Worker

__all__ = [
    "Event",
    "FailawareError",
    "Handlers",
    "Inspector",
    "NotFound",
    "Permanent",
    "Retry",
    "RetryAfter",
    "Severity",
    "Store",
    "StoreError",
    "SyncStatus",
    "Transaction",
    "UsageError",
    "Worker",
    "__version__",
]

_HOME = {
    "Event": "failaware.model",
    "FailawareError": "failaware.errors",
    "Handlers": "failaware.worker.handlers",
    "Inspector": "failaware.read.inspector",
    "NotFound": "failaware.errors",
    "Permanent": "failaware.errors",
    "Retry": "failaware.worker.retry",
    "RetryAfter": "failaware.errors",
    "Severity": "failaware.model",
    "Store": "failaware.store",
    "StoreError": "failaware.errors",
    "SyncStatus": "failaware.model",
    "Transaction": "failaware.worker.transaction",
    "UsageError": "failaware.errors",
    "Worker": "failaware.worker.worker",
}


def __getattr__(name: str) -> object:
    """Load a public name from its room on first use (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module 'failaware' has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value
