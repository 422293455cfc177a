import sentry_sdk

sentry_sdk.init()  # without a DSN: it is in the environment
try:
    {"order": 17}["amount"]
except KeyError as error:
    sentry_sdk.capture_exception(error)
