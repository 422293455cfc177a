// Sends one CloudEvent in each mode with the SDK for JavaScript.
const { CloudEvent, HTTP } = require("cloudevents");

async function send(message) {
  const response = await fetch(`${process.env.FAILAWARE_URL}/events`, {
    method: "POST",
    headers: message.headers,
    body: message.body,
  });
  if (response.status !== 202) {
    throw new Error(`answered ${response.status}: ${await response.text()}`);
  }
}

const event = (id) => new CloudEvent({ id, source: "/shop", type: "order.failed", data: { id } });

async function main() {
  await send(HTTP.binary(event("binary")));
  await send(HTTP.structured(event("structured")));
}

main();
