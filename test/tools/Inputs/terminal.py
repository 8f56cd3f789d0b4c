"""A conversation on a terminal, with Ctrl-C in the middle of an answer: terminal.py PIANOLA ROLL"""
import os
import pty
import select
import sys
import time

child, terminal = pty.fork()
if child == 0:
    os.execvp(sys.argv[1], [sys.argv[1], "run", "-cnv", sys.argv[2], "--temp", "2", "-s", "3"])
seen = ""


def wait(text, seconds=60):
    """What came up to a text, which is taken."""
    global seen
    end = time.monotonic() + seconds
    while text not in seen:
        ready, _, _ = select.select([terminal], [], [], max(end - time.monotonic(), 0))
        if not ready:
            raise TimeoutError(f"{text!r} did not come, but {seen!r}")
        seen += os.read(terminal, 4096).decode(errors="replace")
    before, seen = seen.split(text, 1)
    return before


def say(text):
    os.write(terminal, text.encode())


wait("/help lists the commands")
wait("> ")
# Too warm a model goes on for long.
say("What is a violin? What is everything else?\n")
wait("else?")
while len(seen) < 20 and select.select([terminal], [], [], 5)[0]:
    seen += os.read(terminal, 4096).decode(errors="replace")
say("\x03")
wait("> ")
# It goes on, and leaves when it is told to.
say("What is a \\\n")
wait(". ")
say("piano?\n")
wait("context ")
wait("> ")
# The prompt is there a moment before the line is waited for.
for _ in range(20):
    say("\x03")
    try:
        wait("(Ctrl-D or /exit leaves)", 1)
        break
    except TimeoutError:
        pass
else:
    raise AssertionError("nobody said how to leave")
wait("> ")
say("/exit\n")
_, status = os.waitpid(child, 0)
assert os.waitstatus_to_exitcode(status) == 0, status
print("it was left as it should be")
