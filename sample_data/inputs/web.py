import flask
import sentry_sdk

from failaware import Store
from failaware.integrations.sentry import Transport

sentry_sdk.init(transport=Transport(Store.open("failaware.db")), release="shop@1.4.2")
app = flask.Flask("shop")


@app.get("/checkout/<int:order>")
def checkout(order):
    raise LookupError(f"order {order} has no address")


app.test_client().get("/checkout/17")
