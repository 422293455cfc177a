"""Measures the receiver: Sentry's envelopes of 2 kB over kept connections, each with one request at a time.

python -m benchmarks.receiving [ENVELOPES] [CLIENTS]. The clients are one loop over sockets with prepared bytes.
"""

import json
import os
import re
import select
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from itertools import islice
from pathlib import Path

READY = re.compile(rb"http://127.0.0.1:(\d+)")


def envelope(port):
    """Return a request with an error of a program in JavaScript."""
    event_id = uuid.uuid4().hex
    frames = [
        {"filename": f"/app/src/mod{n}.js", "function": f"fn{n}", "lineno": n * 7, "in_app": n > 3} for n in range(12)
    ]
    event = {
        "event_id": event_id,
        "timestamp": time.time(),
        "platform": "node",
        "level": "error",
        "environment": "prod",
        "release": "shop@1.2",
        "transaction": "POST /checkout",
        "exception": {
            "values": [
                {"type": "TypeError", "value": f"cannot read order {event_id[:6]}", "stacktrace": {"frames": frames}}
            ]
        },
        "request": {"url": "http://shop/checkout", "method": "POST"},
        "tags": {"region": "eu"},
        "extra": {"pad": "x" * 600},
    }
    item = json.dumps(event)
    header = json.dumps({"type": "event", "length": len(item)})
    body = f"{json.dumps({'event_id': event_id})}\n{header}\n{item}\n".encode()
    head = f"POST /api/1/envelope/ HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def send(port, requests, clients):
    """Send all requests; return the answers by status."""
    remaining, answers = iter(requests), Counter()
    poll, connections, received = select.epoll(), {}, {}
    for request in islice(remaining, clients):
        connection = socket.create_connection(("127.0.0.1", port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        poll.register(connection, select.EPOLLIN)
        connections[connection.fileno()] = connection
        connection.sendall(request)
    while connections:
        for number, _ in poll.poll():
            answer = received.pop(number, b"") + connections[number].recv(65_536)
            if not answer.endswith(b"}"):
                received[number] = answer
                continue
            answers[answer[9:12]] += 1
            request = next(remaining, None)
            if request is None:
                poll.unregister(number)
                connections.pop(number).close()
            else:
                connections[number].sendall(request)
    return answers


def measured(process, count, clients):
    """Return envelopes per second, and the memory of the idle receiver in MB."""
    port = int(READY.search(process.stderr.readline())[1])
    send(port, [envelope(port) for _ in range(100)], clients)
    status = Path(f"/proc/{process.pid}/status").read_text()
    memory = int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1_024
    requests = [envelope(port) for _ in range(count)]
    before, began = os.times(), time.perf_counter()
    answers = send(port, requests, clients)
    took = time.perf_counter() - began
    own = sum(os.times()[:2]) - sum(before[:2])
    assert answers == {b"200": count}, answers
    return count / took, memory, own / count * 1e6


def main():
    count, clients = (int(word) for word in (sys.argv[1:] + ["10000", "20"][len(sys.argv) - 1 :]))
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "failaware", "--db", f"{folder}/a.db", "serve", "--quiet", "--listen", "0"]
        process = subprocess.Popen(command, stderr=subprocess.PIPE)
        try:
            rate, memory, own = measured(process, count, clients)
        finally:
            process.terminate()
            process.communicate()
    print(f"{rate:,.0f} envelopes/s over {clients} connections, {memory:.0f} MB; the clients take {own:.0f} µs each")


if __name__ == "__main__":
    main()
