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
        ready, _, _ = select.select([terminal], [], [], end - time.monotonic())
        assert ready, f"{text!r} did not come, but {seen!r}"
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
for _ in range(40):
    time.sleep(.02)
    select.select([terminal], [], [], 5)
    seen += os.read(terminal, 4096).decode(errors="replace")
    if len(seen) > 20:
        break
say("\x03")
wait("> ")
# It goes on, and leaves when it is told to.
say("What is a \\\n")
wait(". ")
say("piano?\n")
wait("context ")
wait("> ")
say("\x03")
wait("(Ctrl-D or /exit leaves)")
wait("> ")
say("/exit\n")
_, status = os.waitpid(child, 0)
assert os.waitstatus_to_exitcode(status) == 0, status
print("it was left as it should be")
