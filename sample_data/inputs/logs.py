import logging

import structlog

from failaware import Store
from failaware.integrations.logging import FailureHandler

logging.getLogger().addHandler(FailureHandler(Store.open("failaware.db")))
structlog.configure(
    processors=[structlog.stdlib.add_log_level, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
    logger_factory=structlog.stdlib.LoggerFactory(),
)
logging.getLogger("shop.stock").error("no stock of %s", "A-1", extra={"order": 4711})
structlog.get_logger("shop.billing").error("charge failed", order=4712)
