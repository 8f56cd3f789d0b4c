"""Requests that no client should make: each is answered or refused, and the server goes on.

    hostile.py ROLL
"""
import json
import pathlib
import socket
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "bench" / "server"))
from client import Server  # noqa: E402

QUESTION = [{"role": "user", "content": "What is a violin?"}]
CHAT = "/v1/chat/completions"


def raw(server, body, path=CHAT):
    """Status of a body that need not be JSON; and the seconds that it took."""
    start = time.monotonic()
    connection = server.connect(timeout=120)
    connection.request("POST", path, body)
    reply = connection.getresponse()
    text = reply.read()
    connection.close()
    assert reply.status == 200 or json.loads(text)["error"]["message"], text
    return reply.status, time.monotonic() - start


def chat(**more):
    return json.dumps({"messages": QUESTION, "max_tokens": 2, **more}).encode()


BODIES = {
    "nothing": b"",
    "half": b'{"messages": [',
    "not UTF-8": b'{"messages": [{"role": "user", "content": "\xff\xfe"}]}',
    "a lone surrogate": b'{"messages": [{"role": "user", "content": "\\ud800"}]}',
    "200k deep arrays": b'{"messages": ' + b"[" * 200000 + b"]" * 200000 + b"}",
    "200k deep objects": b'{"a":' * 200000 + b"1" + b"}" * 200000,
    "200k open brackets": b"[" * 200000,
    "a number without end": b'{"n": ' + b"9" * 100000 + b"}",
    "NaN": b'{"messages": [{"role": "user", "content": "a"}], "temperature": NaN}',
    "infinity": b'{"messages": [{"role": "user", "content": "a"}], "temperature": 1e999}',
    "a billion choices": chat(n=10**9),
    "10k stops": chat(stop=["x%d" % i for i in range(10000)]),
    "a long stop": chat(stop="x" * 100000),
    "10k biases": chat(logit_bias={str(i): 1 for i in range(100000)}),
    "a million words": chat(messages=[{"role": "user", "content": "a " * 1000000}]),
    "a million equal letters": chat(messages=[{"role": "user", "content": "a" * 1000000}]),
    "100k messages": chat(messages=QUESTION * 100000),
    "10k tools": chat(tools=[{"type": "function", "function": {"name": "f%d" % i}}
                             for i in range(10000)]),
    "a schema that recurses": chat(response_format={"type": "json_schema", "json_schema": {
        "name": "x", "schema": {"$ref": "#"}}}),
    "a large schema": chat(response_format={"type": "json_schema", "json_schema": {
        "name": "x", "schema": {"type": "object", "properties": {
            "p%d" % i: {"type": "string", "pattern": "^(a|b){1,99}$"} for i in range(3000)}}}}),
    "a grammar that begins with itself": chat(grammar="root ::= root \"a\""),
    "17 MB": b'{"x": "' + b"a" * (17 << 20) + b'"}',
}


def half_closed(server):
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        client.shutdown(socket.SHUT_WR)
        client.settimeout(5)
        client.recv(4096)  # a reply, or nothing


def never_reads(server):
    """Streams to clients that do not read do not hold up those that do."""
    body = json.dumps({"prompt": "A", "max_tokens": 300, "ignore_eos": True, "stream": True,
                       "logprobs": 20}).encode()
    head = (b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
            % len(body))
    silent = []
    for _ in range(16):
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", server.port))
        client.sendall(head + body)
        silent.append(client)
    assert raw(server, chat())[0] == 200
    for client in silent:
        client.close()


def many(server, count=10000):
    """Requests in a loop do not let the memory grow."""
    connection = server.connect()
    before = None
    for i in range(count):
        path, body = ((CHAT, chat(max_tokens=1)), ("/tokenize", b'{"content": "a violin"}'),
                      (CHAT, b"{"), ("/v1/completions", b'{"prompt": "A", "max_tokens": 1}'))[i % 4]
        connection.request("POST", path, body)
        reply = connection.getresponse()
        reply.read()
        assert reply.status == (400 if body == b"{" else 200), (path, reply.status)
        if i == count // 5:
            before = server.resident()
    after = server.resident()
    assert after < before * 1.02 + 0.5, f"{before:.1f} MB, then {after:.1f}"
    print(f"{count} requests: {before:.1f} MB after a fifth of them, {after:.1f} MB in the end")


def main():
    with Server("pianola", sys.argv[1]) as server:
        for name, body in BODIES.items():
            status, seconds = raw(server, body)
            assert status in ((200,) if name == "a large schema" else (400, 413)), (name, status)
            assert seconds < 10, f"{name}: {seconds:.1f} s"
            assert server.ask("/health")[0] == 200, name
        half_closed(server)
        never_reads(server)
        many(server)
        assert server.resident() < 600, server.resident()
        assert server.stop() == 0
    print("all is as it should be")


main()
