"""What the tests of integrations share."""

import logging

import pytest

from failaware.integrations.logging import FailureHandler


@pytest.fixture
def handler(store):
    made = FailureHandler(store)
    yield made
    made.close()


@pytest.fixture
def logger(handler):
    made = logging.getLogger("shop.billing")
    made.addHandler(handler)
    made.propagate = False
    yield made
    made.removeHandler(handler)
