// Reports, with Sentry's SDK for Node.js, what a program may: an error with a cause, an AggregateError, a message.
const Sentry = require("@sentry/node");

function readPrice(text) {
  return JSON.parse(text);
}

function charge(order) {
  try {
    readPrice("{nope");
  } catch (error) {
    throw new TypeError(`cannot charge order ${order}`, { cause: error });
  }
}

Sentry.init({ release: "shop@1.2", environment: "staging", serverName: "web-1" });
Sentry.setTag("region", "eu");
Sentry.setUser({ id: "u17", email: "jane@example.com" });
Sentry.setExtra("order", 17);
try {
  charge(17);
} catch (error) {
  Sentry.captureException(error);
}
Sentry.captureException(new AggregateError([new RangeError("no stock"), new Error("no courier")], "none answered"));
Sentry.captureMessage("queue is full", "error");
Sentry.captureMessage("all is well", "info");
Sentry.flush(10000).then((done) => process.exit(done ? 0 : 1));
