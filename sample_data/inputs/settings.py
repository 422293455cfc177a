import logging.config

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"failures": {"()": "failaware.integrations.logging.FailureHandler", "store": "failaware.db"}},
    "root": {"handlers": ["failures"]},
}
logging.config.dictConfig(LOGGING)  # which Django does
logging.getLogger("shop").error("the cart is empty")
