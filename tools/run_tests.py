#!/usr/bin/env python3
"""Runs lit and every GoogleTest executable of a build, and adds up what passed and failed."""
import json
import pathlib
import subprocess
import sys
import tempfile

build = pathlib.Path(sys.argv[1]).resolve()
LIT = "/usr/lib/llvm-19/build/utils/lit/lit.py"


def run_lit(output):
    command = [sys.executable, LIT, "-q", "--output", output, str(build / "test")]
    status = subprocess.run(command).returncode
    tests = json.loads(pathlib.Path(output).read_text())["tests"]
    failed = sum(test["code"] not in ("PASS", "UNSUPPORTED", "XFAIL") for test in tests)
    print(f"lit: {len(tests) - failed} passed, {failed} failed")
    # A crash of lit itself is a failure too.
    return len(tests) - failed, failed if failed or status == 0 else 1


def run_gtest(executable, output):
    """A line for each executable; what it printed only if something failed."""
    command = [str(executable), f"--gtest_output=json:{output}", "--gtest_brief=1"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace")
    try:
        report = json.loads(pathlib.Path(output).read_text())
        failed = report["failures"] + report["errors"]
        passed = report["tests"] - failed - report["disabled"]
    except (OSError, ValueError, KeyError):
        passed, failed = 0, 0
    if done.returncode != 0 and failed == 0:
        failed = 1  # it crashed
    if failed:
        print(done.stdout)
    print(f"{executable.name}: {passed} passed, {failed} failed", flush=True)
    return passed, failed


def main():
    with tempfile.TemporaryDirectory() as folder:
        results = [run_lit(folder + "/lit.json")]
        executables = sorted((build / "bin" / "tests").iterdir())
        if not executables:
            sys.exit("no GoogleTest executables found")
        gtests = [run_gtest(exe, f"{folder}/{exe.name}.json") for exe in executables]
    print(f"GoogleTest: {sum(p for p, _ in gtests)} passed, {sum(f for _, f in gtests)} failed")
    results += gtests
    passed, failed = (sum(column) for column in zip(*results))
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed != 0 or passed == 0)


main()
