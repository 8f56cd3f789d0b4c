"""A server to be measured, and what asks it; the standard library is all it needs."""
import http.client
import json
import os
import subprocess
import threading
import time


class Server:
    """`pianola serve` on a free port, with what it logs."""

    def __init__(self, pianola, roll, *options):
        self.process = subprocess.Popen([pianola, "serve", roll, "--port", "0", *options],
                                        stderr=subprocess.PIPE, text=True)
        self.log, self.port = [], None
        ready = threading.Event()

        def read():
            for line in self.process.stderr:
                self.log.append(line)
                if '"event":"ready"' in line:
                    self.port = int(json.loads(line)["url"].rsplit(":", 1)[1])
                    ready.set()
            ready.set()

        threading.Thread(target=read, daemon=True).start()
        if not ready.wait(300) or self.port is None:
            raise SystemExit("the server did not start:\n" + "".join(self.log))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(60)

    def resident(self):
        """MB of memory that are in use, those of the mapped roll not counted."""
        for line in open(f"/proc/{self.process.pid}/status"):
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) / 1024

    def connect(self, timeout=600):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def ask(self, path, body=None, method=None):
        """Status and JSON (or text) of a reply."""
        connection = self.connect()
        try:
            connection.request(method or ("POST" if body is not None else "GET"), path,
                               None if body is None else json.dumps(body),
                               {"Content-Type": "application/json"})
            reply = connection.getresponse()
            text = reply.read().decode()
            kind = reply.getheader("Content-Type", "")
            return reply.status, json.loads(text) if "json" in kind else text
        finally:
            connection.close()

    def stream(self, path, body):
        """The events of a stream, as they come."""
        connection = self.connect()
        try:
            connection.request("POST", path, json.dumps({**body, "stream": True}),
                               {"Content-Type": "application/json"})
            reply = connection.getresponse()
            if reply.status != 200:
                raise RuntimeError(f"{reply.status}: {reply.read().decode()}")
            for line in reply:
                if line.startswith(b"data: ") and line != b"data: [DONE]\n":
                    yield json.loads(line[6:])
        finally:
            connection.close()


class Stream:
    """A completion that streams: its tokens, and when they came."""

    def __init__(self, server, prompt, most, **more):
        self.ids, self.times, self.usage = [], [], None
        start = time.perf_counter()
        body = {"prompt": prompt, "max_tokens": most, "ignore_eos": True, "return_token_ids": True,
                "stream_options": {"include_usage": True}, "temperature": 0, **more}
        for event in server.stream("/v1/completions", body):
            if event.get("error"):
                raise RuntimeError(event["error"]["message"])
            if event["choices"]:
                self.ids += event["choices"][0]["token_ids"]
                self.times.append(time.perf_counter() - start)
            elif event.get("usage"):
                self.usage = event["usage"]
        self.seconds = time.perf_counter() - start

    @property
    def first(self):
        return self.times[0]


def at_once(jobs):
    """Runs functions, a thread each; their results, and the seconds that all took."""
    results, errors = [None] * len(jobs), []

    def run(index):
        try:
            results[index] = jobs[index]()
        except Exception as error:  # told below
            errors.append(error)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(jobs))]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results, time.perf_counter() - start


def find_pianola():
    here = os.path.dirname(os.path.abspath(__file__))
    return os.environ.get("PIANOLA", os.path.join(here, "..", "..", "build", "bin", "pianola"))
