"""bench.py: decoding by Pianola, launched both ways, and by PyTorch, in turns, in one run.

    bench.py PLAYER ROLL [--config CONFIG] -o LINES [--rounds N] [--context N] [--tokens N] [--seconds S]

Every line of LINES (appended to) is a line of JSON with a "model", as the players print them. Without --config, or
where PyTorch is missing, Pianola plays alone.
"""
import argparse
import json
import pathlib
import queue
import subprocess
import sys
import threading
import time

parser = argparse.ArgumentParser()
parser.add_argument("player")
parser.add_argument("roll", type=pathlib.Path)
parser.add_argument("--config")
parser.add_argument("-o", dest="output", required=True)
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--context", type=int, default=256)
parser.add_argument("--tokens", type=int, default=64)
parser.add_argument("--seconds", type=float, default=80, help="for all of it")
options = parser.parse_args()
deadline = time.monotonic() + options.seconds
size = ["--context", str(options.context), "--tokens", str(options.tokens)]


class Player:
    """A program that says a line when it is ready, and one for every line that it is given."""

    def __init__(self, name, command):
        self.name = name
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.lines = queue.Queue()
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def hear(self):
        try:
            line = self.lines.get(timeout=max(0.1, deadline - time.monotonic()))
        except queue.Empty:
            raise RuntimeError(f"{self.name} took too long") from None
        if line is None:
            raise RuntimeError(f"{self.name} ended with status {self.process.wait()}")
        return json.loads(line)

    def play(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.hear()

    def end(self):
        self.process.kill()
        self.process.wait()


rounds = str(options.rounds)
players = [Player("pianola-play", [options.player, "measure", str(options.roll), "--wait", "--rounds", rounds, *size])]
if options.config:
    script = pathlib.Path(__file__).with_name("torch_decode.py")
    players.append(Player("PyTorch", [sys.executable, str(script), options.config, "--wait", "--rounds", rounds, *size]))
lines, status = [], 0
try:
    heard = []
    for player in players:
        try:
            lines.append(player.hear())
            heard.append(player)
        except RuntimeError as error:
            print(f"error: {options.roll.stem}: {error}", file=sys.stderr)
            status = 1
    # The first round warms up, and is not kept.
    for number in range(options.rounds):
        for player in list(heard):
            try:
                for _ in range(2 if player is players[0] else 1):
                    line = player.play()
                    if number > 0 or options.rounds == 1:
                        lines.append(line)
            except (RuntimeError, OSError) as error:
                print(f"error: {options.roll.stem}: {error}", file=sys.stderr)
                heard.remove(player)
                status = 1
finally:
    for player in players:
        player.end()
with open(options.output, "a") as file:
    for line in lines:
        file.write(json.dumps({"roll": options.roll.stem, **line}) + "\n")
sys.exit(status)
