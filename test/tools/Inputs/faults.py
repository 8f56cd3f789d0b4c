"""Compiles and plays while the machine runs short of something, the process is killed, or the roll is
cut short: at worst one clear error, and nothing half-written.

    faults.py killed|full|memory|truncated FOLDER MODEL_DIR
"""
import os
import pathlib
import re
import resource
import shutil
import subprocess
import sys
import time

case, folder, model = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3]
shutil.rmtree(folder, ignore_errors=True)
folder.mkdir(parents=True)
roll = folder / "x.roll"
COMPILE = ["pianola", "compile", model, "-o", str(roll), "-t", "2", "--slots", "1"]
PLAY = ["pianola", "run", str(roll), "--ids", "1,2,3", "-n", "8", "--temp", "0", "--ignore-eos", "--print-ids"]
os.environ["PIANOLA_CACHE"] = str(folder / "cache")


def run(command, limit=None):
    def begin():
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if limit:
            resource.setrlimit(*limit)
    return subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=300,
                          preexec_fn=begin)


def left():
    """All files there are, but for those of the test."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def expect(holds, *what):
    if not holds:
        sys.exit(f"{case}: {' '.join(map(str, what))}")


def expect_error(done, pattern):
    """Exit status 1, and one line that says why."""
    expect(done.returncode == 1, "exit status", done.returncode, done.stderr)
    errors = [line for line in done.stderr.splitlines() if "error" in line.lower()]
    expect(len(errors) == 1 and re.fullmatch(pattern, errors[0]), "said", errors, "not", pattern)


def good():
    done = run(COMPILE)
    expect(done.returncode == 0, done.stderr)
    return roll.read_bytes()


def has_nameless_files():
    """Whether the file system knows O_TMPFILE; else who is killed leaves a file that nobody looks at."""
    try:
        os.close(os.open(folder, os.O_TMPFILE | os.O_RDWR))
        return True
    except OSError:
        return False


def killed():
    """At many moments: as a roll is compiled, compiled over, and compiled into the cache."""
    wanted = good()
    begun = time.monotonic()
    good()
    takes = time.monotonic() - begun
    cached = ["pianola", "run", model, "--ids", "1", "-n", "1"]
    moments, ended = 9, 0
    for i in range(moments):
        if i % 3 == 0:
            roll.unlink(missing_ok=True)
        process = subprocess.Popen(cached if i % 4 == 3 else COMPILE, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        # Before half of its time has passed it has nothing to write yet.
        time.sleep(takes * (0.3 + 0.9 * i / moments))
        ended += process.poll() is not None
        process.kill()  # the compiler too: it takes the place of `pianola`
        process.wait()
        for name in left():
            if not name.endswith(".roll"):
                expect(not has_nameless_files(), "killed at moment", i, "left", name)
                (folder / name).unlink()
                continue
            expect(run(["pianola", "inspect", str(folder / name)]).returncode == 0, name, "is no roll")
        expect(not roll.exists() or roll.read_bytes() == wanted, "half a roll at moment", i)
    print(f"{ended} of {moments} had ended before")
    expect(good() == wanted, "the next roll differs")
    done = run(cached)
    expect(done.returncode == 0, "the next run:", done.stderr)
    expect(len(left()) == 2, "left", left())


def full():
    """No room for the file: the limit is on its size, and is met at several places."""
    wanted = good()
    for size, there in ((0, True), (len(wanted) // 2, True), (len(wanted) - 1, False)):
        if not there:
            roll.unlink()
        expect_error(run(COMPILE, (resource.RLIMIT_FSIZE, (size, size))),
                     r"error: .*x\.roll: cannot be written: File too large")
        expect(left() == ["x.roll"] * there, "left", left())
        expect(not there or roll.read_bytes() == wanted, "the old roll is changed")
        roll.write_bytes(wanted)
    done = run(["pianola", "run", model, "--ids", "1", "-n", "1"], (resource.RLIMIT_FSIZE, (4096, 4096)))
    expect_error(done, r"error: .*\.roll: cannot be written: File too large")
    expect(left() == ["x.roll"], "left", left())
    # Nor for what is printed.
    with open("/dev/full", "w") as nowhere:
        done = subprocess.run(PLAY, stdout=nowhere, stderr=subprocess.PIPE, text=True)
    expect_error(done, "error: standard output cannot be written.*")


def memory():
    """Too little memory, from nearly enough to far too little: a clear error, and no half file."""
    def least(command, unit):
        """The least limit that the command works with, or a little more, in units."""
        low, high = 1, (2 << 30) // unit
        while high - low > max(1, high // 100):
            middle = (low + high) // 2
            done = run(command, (resource.RLIMIT_AS, (middle * unit, middle * unit)))
            low, high = (low, middle) if done.returncode == 0 else (middle, high)
        return high

    good()
    for command, files, unit in ((COMPILE, [], 1 << 20), (PLAY, ["x.roll"], 1 << 16)):
        if not files:
            roll.unlink()
        enough, refused = least(command, unit), 0
        if not files:
            roll.unlink()
        for missing in (1, 2, 3, 5, 8, 12, 20, 30):
            limit = (enough - missing) * unit
            done = run(command, (resource.RLIMIT_AS, (limit, limit))) if limit > 0 else None
            if not done or "shared" in done.stderr or "terminate called" in done.stderr:
                break  # not even the program can be loaded, or the libraries fail before it begins
            if done.returncode == 0:  # the same run does not always take the same
                roll.unlink() if not files else None
                continue
            expect_error(done, r"error: .*(memory|Resource).*")
            expect(left() == files, "left", left())
            refused += 1
        expect(refused > 0, "nothing was refused by", command[1])
        print(f"{command[1]}: {enough * unit >> 10} KiB are enough; {refused} clear errors below")
        good()


def truncated():
    """The roll is cut short, replaced or removed while it is played."""
    wanted = good()

    def while_playing(change):
        """A conversation, and a change of the file between two questions."""
        process = subprocess.Popen(["pianola", "chat", str(roll), "--temp", "0", "-n", "8"], text=True,
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        process.stdin.write("What is a window?\n")
        process.stdin.flush()
        expect(process.stdout.readline(), "no answer")
        change()
        answer, said = process.communicate("What is a dog?\n", timeout=60)
        return subprocess.CompletedProcess(process.args, process.returncode, answer, said)

    alone = while_playing(lambda: None)
    expect(alone.returncode == 0 and alone.stdout, alone.stderr)
    for size in (0, 4096, len(wanted) // 2):
        expect_error(while_playing(lambda: os.truncate(roll, size)),
                     r"error: .*/x\.roll: was truncated while it was in use, or cannot be read")
        roll.unlink()
        roll.write_bytes(wanted)
    # Another one in its place, or none: who plays keeps the old file.
    for change in (good, roll.unlink):
        expect(while_playing(change).stdout == alone.stdout, "other tokens, or none")


{"killed": killed, "full": full, "memory": memory, "truncated": truncated}[case]()
