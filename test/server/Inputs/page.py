"""The page at /, as somebody uses it, in a headless Chromium that is spoken to through pipes.

    page.py ROLL CHROMIUM
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "bench" / "server"))
from client import Server  # noqa: E402


class Browser:
    """Chrome's DevTools protocol: JSON that ends with a null byte, on file descriptors 3 and 4."""

    def __init__(self, chromium, profile):
        to_read, self.to = os.pipe()
        self.back, to_write = os.pipe()
        def hand_over():
            os.dup2(to_read, 103)
            os.dup2(to_write, 104)
            os.dup2(103, 3)
            os.dup2(104, 4)
        self.process = subprocess.Popen(
            [chromium, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
             "--remote-debugging-pipe", f"--user-data-dir={profile}", "about:blank"],
            preexec_fn=hand_over, close_fds=False, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        self.held, self.number, self.session, self.problems = b"", 0, None, []
        targets = self.ask("Target.getTargets")["targetInfos"]
        page = next(target for target in targets if target["type"] == "page")
        self.session = self.ask("Target.attachToTarget", targetId=page["targetId"],
                                flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(domain + ".enable")

    def hear(self):
        while b"\0" not in self.held:
            more = os.read(self.back, 1 << 16)
            if not more:
                raise SystemExit("the browser has gone")
            self.held += more
        message, self.held = self.held.split(b"\0", 1)
        return json.loads(message)

    def ask(self, method, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        while True:
            heard = self.hear()
            if heard.get("id") == self.number:
                assert "error" not in heard, heard
                return heard["result"]
            said = heard.get("params", {})
            if heard.get("method") == "Runtime.exceptionThrown" or \
                    said.get("entry", {}).get("level") in ("error", "warning"):
                self.problems.append(json.dumps(said))

    def run(self, script):
        result = self.ask("Runtime.evaluate", expression=script, returnByValue=True,
                          awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def wait(self, script):
        for _ in range(300):
            if self.run(script):
                return
            time.sleep(.1)
        raise AssertionError(f"never came true: {script}\n{self.run('document.body.innerText')}")

    def open(self, url):
        self.ask("Page.navigate", url=url)
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'")

    def say(self, text):
        """By the keyboard."""
        self.run("document.getElementById('text').focus()")
        self.ask("Input.insertText", text=text)
        self.ask("Input.dispatchKeyEvent", type="keyDown", key="Enter", code="Enter",
                 windowsVirtualKeyCode=13, text="\r")

    def turns(self):
        return self.run("[...document.querySelectorAll('.turn')].map(turn => "
                        "[turn.className.replace('turn ', ''), turn.textContent])")


IDLE = "document.getElementById('send').textContent === 'Send'"


def talk(browser, server):
    browser.open(f"http://127.0.0.1:{server.port}/")
    browser.wait("document.getElementById('model').textContent === 'x'")
    browser.say("What is a violin?")
    browser.wait("document.querySelectorAll('.assistant').length === 1")
    browser.wait(IDLE)
    turns = browser.turns()
    assert turns[0] == ["user", "What is a violin?"] and len(turns) == 2, turns
    assert turns[1][1].startswith("A violin is a bowed stringed instrument"), turns
    assert "prompt 14 tokens" in browser.run("document.getElementById('told').textContent")
    # What looks like a part of the page is none.
    browser.say("<img src=x onerror=\"document.title='broken'\"><b>hi</b>")
    browser.wait("document.querySelectorAll('.user').length === 2")
    browser.wait(IDLE)
    assert browser.run("document.querySelectorAll('main img, main b').length") == 0
    assert browser.run("document.title") == "Pianola"
    # An answer can be stopped, and a new chat forgets.
    browser.run("document.getElementById('temperature').value = '2'; "
                "document.getElementById('system').value = 'Go on and on.'")
    browser.say("Tell me everything.")
    browser.wait("document.querySelectorAll('.user').length === 3")
    browser.run("document.getElementById('send').click()")
    browser.wait(IDLE)
    browser.run("document.getElementById('clear').click()")
    assert browser.turns() == []
    # Errors are told.
    browser.run("document.getElementById('most').value = '-1'")
    browser.say("What?")
    browser.wait("document.querySelectorAll('.error').length === 1")
    assert "max_tokens" in browser.turns()[-1][1]


def with_key(browser, server):
    browser.open(f"http://127.0.0.1:{server.port}/")
    browser.wait("document.getElementById('told').textContent.includes('API key')")
    browser.run("document.getElementById('key').value = 'secret'; "
                "document.getElementById('key').dispatchEvent(new Event('change'))")
    browser.wait("document.getElementById('model').textContent === 'x'")
    browser.say("What is a violin?")
    browser.wait("document.querySelectorAll('.assistant').length === 1")
    browser.wait(IDLE)


def main():
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Browser(sys.argv[2], profile)
        try:
            with Server("pianola", sys.argv[1], "--alias", "x") as server:
                talk(browser, server)
                # But for the error that was asked for, and the picture that there is none of.
                wrong = [one for one in browser.problems
                         if "status of 400" not in one and "favicon" not in one]
                assert not wrong, wrong
            with Server("pianola", sys.argv[1], "--alias", "x", "--api-key", "secret") as server:
                with_key(browser, server)
        finally:
            browser.process.kill()
            browser.process.wait()
    print("all is as it should be")


main()
