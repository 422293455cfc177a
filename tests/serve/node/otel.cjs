// Reports, with OpenTelemetry's SDK for JavaScript, two spans that failed, one that did not, and an error that is logged.
// The only argument is the encoding: "http" (JSON) or "proto" (protobuf).
const { SpanKind, SpanStatusCode } = require("@opentelemetry/api");
const { NodeTracerProvider, SimpleSpanProcessor } = require("@opentelemetry/sdk-trace-node");
const { LoggerProvider, SimpleLogRecordProcessor } = require("@opentelemetry/sdk-logs");
const { OTLPTraceExporter } = require(`@opentelemetry/exporter-trace-otlp-${process.argv[2]}`);
const { OTLPLogExporter } = require(`@opentelemetry/exporter-logs-otlp-${process.argv[2]}`);

async function main() {
  const tracing = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(new OTLPTraceExporter())] });
  const logging = new LoggerProvider({ processors: [new SimpleLogRecordProcessor({ exporter: new OTLPLogExporter() })] });
  const tracer = tracing.getTracer("shop");

  const charge = tracer.startSpan("charge", { attributes: { order: 17 } });
  charge.recordException(new TypeError("no price"));
  charge.setStatus({ code: SpanStatusCode.ERROR });
  charge.end();

  const call = tracer.startSpan("GET /orders", { kind: SpanKind.CLIENT, attributes: { "error.type": "503" } });
  call.setStatus({ code: SpanStatusCode.ERROR, message: "upstream answered 503" });
  call.end();

  tracer.startSpan("fine").end();
  logging.getLogger("shop.mail").emit({ severityNumber: 17, severityText: "ERROR", body: "mail server is gone" });

  await tracing.shutdown();
  await logging.shutdown();
}

main();
