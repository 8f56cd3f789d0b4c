"""What machine this is, and how much of it others use while something runs."""
import os
import pathlib
import platform
import resource
import subprocess
import time

_TICK = os.sysconf("SC_CLK_TCK")


def describe():
    info = pathlib.Path("/proc/cpuinfo").read_text()
    fields = dict(line.split(":", 1) for line in info.split("\n\n")[0].replace("\t", "").splitlines() if ":" in line)
    return {"cpu": fields.get("model name", platform.machine()).strip(), "cores": os.cpu_count(),
            "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), "kernel": platform.release()}


def busy():
    """Seconds of all cores, since the start, in which they were not idle."""
    user, nice, system, _, _, irq, softirq, steal = map(int, pathlib.Path("/proc/stat").read_text().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / _TICK


def wait_for_quiet(patience, most=0.15):
    """Until others use less than that many cores, or `patience` seconds have gone by."""
    deadline = time.monotonic() + patience
    while True:
        before, start = busy(), time.monotonic()
        time.sleep(0.5)
        if (busy() - before) / (time.monotonic() - start) < most or time.monotonic() > deadline:
            return


class Run:
    """A command on some cores: what it printed, and how many cores others used meanwhile."""

    def __init__(self, command, cores, variables):
        before, start = busy(), time.monotonic()
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run([str(part) for part in command], env=dict(os.environ, **variables), text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, errors="replace",
                              preexec_fn=lambda: os.sched_setaffinity(0, cores))
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        own = after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime
        self.others = max(0.0, (busy() - before - own) / (time.monotonic() - start))
        self.status, self.output, self.errors = done.returncode, done.stdout, done.stderr


def quietest(command, cores, variables, patience, tries, most=0.15):
    """The first Run that others left alone, or the one that they disturbed least."""
    best = None
    for _ in range(tries):
        wait_for_quiet(patience)
        run = Run(command, cores, variables)
        if run.status != 0:
            return run
        if best is None or run.others < best.others:
            best = run
        if best.others < most:
            break
    return best
