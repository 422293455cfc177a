"""failaware: failures are immutable facts, severity is derived, decisions remain human.

The public names are imported on first use, which keeps `import failaware` fast.
"""

from failaware.version import __version__

TYPE_CHECKING = False  # type checkers take it as True; importing typing would be slower than the rest of this module

if TYPE_CHECKING:
    from failaware.errors import FailawareError, NotFound, Permanent, RetryAfter, StoreError, UsageError
    from failaware.integrations.watch import watch
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
    "watch",
]

_MODULES = {
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
    "watch": "failaware.integrations.watch",
}


def __getattr__(name: str) -> object:
    """Import a public name on first use (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module 'failaware' has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(_MODULES[name]), name)
    globals()[name] = value
    return value
