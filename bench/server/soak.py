#!/usr/bin/env python3
"""Clients of every kind for a long time: such as read, leave, read slowly, or do not mean well.

    soak.py ROLL [--minutes 10] [--clients 12] [-o RESULT.json]

Fails if the server ends, if a request that is well-formed gets no reply, if the same request gets
another answer, or if the memory still grows in the second half.
"""
import argparse
import collections
import json
import random
import socket
import threading
import time

from client import Server, find_pianola

GARBAGE = [b"\x00" * 100, b"GET\r\n\r\n", b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 9\r\n\r\n{\"a\": [[[",
           b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 5000, b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nq\r\n",
           b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 9, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]
WRONG = [b"", b"[", b"[]", b'{"prompt": 5}', b'{"prompt": "a", "n": -1}', b'{"prompt": "a", "temperature": "x"}',
         b'{"prompt": "' + b"a " * 5000 + b'"}', b'{"prompt": ["a", 1]}', b"[" * 100000]


class Soak:
    def __init__(self, server, minutes):
        self.server, self.end = server, time.monotonic() + 60 * minutes
        self.counts, self.failures = collections.Counter(), []
        self.known, self.lock = {}, threading.Lock()

    def count(self, what):
        with self.lock:
            self.counts[what] += 1

    def ask(self, draw):
        """A request that is answered, or refused because there are too many."""
        prompt = [draw.randrange(10, 250) for _ in range(draw.choice((1, 30, 200)))]
        seed = draw.randrange(20)
        if draw.random() < .5:
            prompt = [7 + seed % 3] * (40 + seed)  # asked before
        body = {"prompt": prompt, "max_tokens": 1 + seed, "temperature": .8, "seed": seed,
                "return_token_ids": True, "n": draw.choice((1, 1, 1, 3))}
        if draw.random() < .2:
            body["response_format"] = {"type": "json_object"}
        status, reply = self.server.ask("/v1/completions", body)
        self.count(f"answered {status}")
        if status not in (200, 503):
            raise AssertionError(f"{status}: {reply}")
        if status == 200:
            key = json.dumps(body)
            ids = [choice["token_ids"] for choice in reply["choices"]]
            with self.lock:
                if self.known.setdefault(key, ids) != ids:
                    raise AssertionError(f"another answer to {key}")

    def stream(self, draw):
        """A stream that is read to its end, left early, or read slowly."""
        body = {"prompt": "A violin is", "max_tokens": draw.choice((5, 50, 300)), "ignore_eos": True}
        patience = draw.choice((1 << 30, 1, 10))
        pause = draw.choice((0, 0, .05))
        try:
            for number, _ in enumerate(self.server.stream("/v1/completions", body)):
                time.sleep(pause)
                if number == patience:
                    self.count("streams left")
                    return
        except RuntimeError as error:
            if not str(error).startswith("503"):
                raise
        self.count("streams read")

    def misbehave(self, draw):
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=10) as client:
            if draw.random() < .5:
                client.sendall(draw.choice(GARBAGE))
            else:
                body = draw.choice(WRONG)
                client.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
                               % len(body) + body)
            if draw.random() < .5:
                try:
                    client.recv(1000)
                except OSError:
                    pass
        self.count("misbehaved")

    def client(self, number):
        draw = random.Random(number)
        while time.monotonic() < self.end and not self.failures:
            act = draw.choices((self.ask, self.stream, self.misbehave), (5, 3, 2))[0]
            try:
                act(draw)
            except Exception as error:  # told in the end
                if act != self.misbehave:
                    self.failures.append(f"{act.__name__}: {error!r}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("roll")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--clients", type=int, default=12)
    parser.add_argument("-o", "--output")
    options = parser.parse_args()
    with Server(find_pianola(), options.roll, "--queue", "16") as server:
        soak = Soak(server, options.minutes)
        threads = [threading.Thread(target=soak.client, args=(i,)) for i in range(options.clients)]
        for thread in threads:
            thread.start()
        resident = []
        while any(thread.is_alive() for thread in threads):
            time.sleep(options.minutes * 60 / 100)
            if server.process.poll() is not None:
                soak.failures.append("the server has ended:\n" + "".join(server.log[-20:]))
                break
            resident.append(server.resident())
        for thread in threads:
            thread.join()
        metrics = dict(line.rsplit(" ", 1) for line in server.ask("/metrics")[1].splitlines()
                       if not line.startswith("#"))
        half = resident[len(resident) // 2:]
        growth = half[-1] / half[0] - 1
        if growth > .02:
            soak.failures.append(f"memory grew by {100 * growth:.1f} % in the second half")
        if server.stop() != 0:
            soak.failures.append("the server did not end well")
    result = {"minutes": options.minutes, "clients": options.clients, "counts": soak.counts,
              "residentMB": [round(value, 1) for value in resident], "growth": growth,
              "tokens": float(next(value for name, value in metrics.items()
                                   if "generation_tokens_total" in name))}
    if options.output:
        with open(options.output, "w") as file:
            json.dump(result, file, indent=1)
            file.write("\n")
    print(", ".join(f"{name}: {count}" for name, count in sorted(soak.counts.items())))
    print(f"memory: {half[0]:.1f} MB at half-time, {half[-1]:.1f} MB in the end")
    if soak.failures:
        raise SystemExit("\n".join(soak.failures))


if __name__ == "__main__":
    main()
