#!/usr/bin/env python3
"""Runs lit and every GoogleTest executable of a build, and the runtime's in sanitized builds, which also
play a roll that the first build compiles, and run their fuzzers for a moment. Adds up what passed and
failed.

    run_tests.py BUILD [SANITIZED_BUILD...]
"""
import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

LIT = "/usr/lib/llvm-19/build/utils/lit/lit.py"
SOURCE = pathlib.Path(__file__).resolve().parent.parent
FUZZ = SOURCE / "test" / "fuzz"
FUZZ_SECONDS = 2
# Beside test/fuzz/corpus/NAME: what is there anyway.
MORE_SEEDS = {"template": SOURCE / "test" / "runtime" / "template" / "golden" / "templates"}
IDS = [str(i * 7 % 300) for i in range(12)]


def capture(command):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace")


def run_lit(build, folder):
    output = f"{folder}/lit.json"
    status = subprocess.run([sys.executable, LIT, "-sv", "--no-progress-bar", "--output", output, str(build / "test")])
    tests = json.loads(pathlib.Path(output).read_text())["tests"]
    failed = sum(test["code"] not in ("PASS", "UNSUPPORTED", "XFAIL") for test in tests)
    print(f"lit: {len(tests) - failed} passed, {failed} failed", flush=True)
    # A crash of lit itself is a failure too.
    return len(tests) - failed, failed if failed or status.returncode == 0 else 1


def run_gtest(executable, folder):
    """What it printed if something failed, then a line; and how many passed and failed."""
    output = pathlib.Path(folder) / f"{executable.name}.json"
    output.unlink(missing_ok=True)
    start = time.monotonic()
    done = capture([str(executable), f"--gtest_output=json:{output}", "--gtest_brief=1"])
    try:
        report = json.loads(output.read_text())
        failed = report["failures"] + report["errors"]
        # What this machine cannot run has not passed.
        skipped = sum(test.get("result") == "SKIPPED" for suite in report["testsuites"] for test in suite["testsuite"])
        passed = report["tests"] - failed - report["disabled"] - skipped
    except (OSError, ValueError, KeyError):
        passed, failed = 0, 0
    if done.returncode != 0 and failed == 0:
        failed = 1  # it crashed, or a sanitizer had something to say
    name = executable.relative_to(SOURCE) if executable.is_relative_to(SOURCE) else executable
    said = done.stdout + "\n" if failed else ""
    seconds = round(time.monotonic() - start)
    return said + f"{name}: {passed} passed, {failed} failed in {seconds} s", (passed, failed)


def run_gtests(build, folder):
    executables = sorted((build / "bin" / "tests").iterdir())
    if not executables:
        sys.exit(f"{build}: no GoogleTest executables found")
    results = []
    # As many at a time as there are cores: most have one thread.
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for said, result in pool.map(lambda executable: run_gtest(executable, folder), executables):
            print(said, flush=True)
            results.append(result)
    return results


def run_fuzzer(executable, folder):
    """Over its corpus and on from there: what it printed if something failed, then a line; and how many
    passed and failed."""
    name = executable.name
    made = pathlib.Path(folder) / f"fuzz-{name}"
    made.mkdir()
    seeds = [made, FUZZ / "corpus" / name, MORE_SEEDS.get(name)]
    dictionary = FUZZ / "dictionaries" / f"{name}.dict"
    done = capture(["env", "UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1", str(executable),
                    *([f"-dict={dictionary}"] if dictionary.exists() else []), "-seed=1", "-timeout=25",
                    f"-max_total_time={FUZZ_SECONDS}", "-rss_limit_mb=2048", "-max_len=8000",
                    f"-artifact_prefix={executable.parent.parent}/{name}-",
                    *(str(seed) for seed in seeds if seed and seed.exists())])
    ok = done.returncode == 0
    said = "" if ok else done.stdout[-8000:] + "\n"
    return said + f"fuzz {name}: {'passed' if ok else 'failed'}", (int(ok), int(not ok))


def run_fuzzers(build, folder):
    fuzzers = build / "bin" / "fuzz"
    results = []
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for said, result in pool.map(lambda executable: run_fuzzer(executable, folder),
                                     sorted(fuzzers.iterdir()) if fuzzers.exists() else []):
            print(said, flush=True)
            results.append(result)
    return results


def play_golden(build, roll, wanted):
    """A sanitized runtime plays a compiled golden model and says the same tokens."""
    done = capture([str(build / "bin" / "pianola-embed"), roll, *IDS])
    ok = done.returncode == 0 and done.stdout == wanted
    if not ok:
        print(done.stdout)
    print(f"{build.name}: plays a golden: {'passed' if ok else 'failed'}", flush=True)
    return int(ok), int(not ok)


def serve(build, roll):
    """A sanitized server is asked what clients of OpenAI's interface ask."""
    script = SOURCE / "test" / "server" / "Inputs" / "protocol.py"
    path = f"{build / 'bin'}{os.pathsep}{os.environ['PATH']}"
    done = capture(["env", f"PATH={path}", sys.executable, str(script), roll])
    ok = done.returncode == 0
    if not ok:
        print(done.stdout)
    print(f"{build.name}: serves: {'passed' if ok else 'failed'}", flush=True)
    return int(ok), int(not ok)


def main():
    builds = [pathlib.Path(argument).resolve() for argument in sys.argv[1:]]
    with tempfile.TemporaryDirectory() as folder:
        lit = [run_lit(builds[0], folder)]
        gtests = run_gtests(builds[0], folder)
        plays, fuzzers = [], []
        if builds[1:]:
            roll = folder + "/golden.roll"
            subprocess.run([str(builds[0] / "bin" / "pianola"), "compile",
                            str(SOURCE / "test" / "golden" / "llama_bias"), "-o", roll, "-t", "3"],
                           check=True, stderr=subprocess.DEVNULL)
            talking = folder + "/talking.roll"
            subprocess.run([str(builds[0] / "bin" / "pianola"), "compile",
                            str(SOURCE / "models" / "pocket-dictionary"), "-o", talking],
                           check=True, stderr=subprocess.DEVNULL)
            wanted = capture([str(builds[0] / "bin" / "pianola-embed"), roll, *IDS]).stdout
        for build in builds[1:]:
            gtests += run_gtests(build, folder)
            plays.append(play_golden(build, roll, wanted))
            plays.append(serve(build, talking))
            fuzzers += run_fuzzers(build, folder)
    for name, results in (("lit", lit), ("GoogleTest", gtests), ("sanitized plays", plays), ("fuzzers", fuzzers)):
        passed, failed = (sum(column) for column in zip(*results)) if results else (0, 0)
        print(f"{name}: {passed} passed, {failed} failed")
    passed, failed = (sum(column) for column in zip(*lit, *gtests, *plays, *fuzzers))
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed != 0 or passed == 0)


main()
