#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs every test: the unit and flow programs of a build, the scenarios in tests/system, and those
with real PBXes in tests/e2e.

    tests/run.py [-j N] [WORD ...]      only files whose path holds one of the words

The build is $PBXPUSH_BUILD (default: build). A line a file, what a failed one said, and at the end
the single line `N passed, N failed`.
"""

import argparse
import concurrent.futures
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
FILE_LIMIT_S = 600
OUTPUT_SHOWN = 30000  # the last characters of a failed file

# cmocka and harness.py write alike; cmocka names a failed test a second time in its summary.
PASSED = re.compile(r"^\[ +OK \] \w+", re.M)
FAILED = re.compile(r"^\[  FAILED  \] (\w+)$", re.M)
SKIPPED = re.compile(r"^\[  SKIPPED \] (.+)", re.M)
NOTE = re.compile(r"^\[  NOTE    \] (.+)", re.M)
UNITTEST = re.compile(r"^Ran (\d+) tests? in .*\n\n(?:OK|FAILED)(?: \((.*)\))?", re.M)


def count(output, status):
    """(passed, failed, skipped texts) of a file's output."""
    passed, failed = len(PASSED.findall(output)), len(set(FAILED.findall(output)))
    skipped = SKIPPED.findall(output)
    for ran, details in UNITTEST.findall(output):
        parts = dict(part.split("=") for part in details.split(", ") if "=" in part)
        bad = int(parts.get("failures", 0)) + int(parts.get("errors", 0))
        idle = int(parts.get("skipped", 0))
        passed, failed = passed + int(ran) - bad - idle, failed + bad
        skipped += ["unittest"] * idle
    # A crash, a leak found at exit, or a file without tests must not pass in silence.
    if not failed and (status != 0 or not (passed or skipped)):
        failed = 1
    return passed, failed, skipped


def run(path, environment):
    start = time.monotonic()
    if not os.access(path, os.X_OK):
        return path, 127, "not built, or not executable\n", 0.0
    process = subprocess.Popen(
        [path], cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True)
    try:
        output, _ = process.communicate(timeout=FILE_LIMIT_S)
    except subprocess.TimeoutExpired:
        # The whole session: a scenario has daemons running.
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        output += f"\nkilled after {FILE_LIMIT_S} s\n"
    return path, process.returncode, output, time.monotonic() - start


def report(path, status, output, seconds):
    passed, failed, skipped = count(output, status)
    name = os.path.relpath(path, ROOT)
    text = f"{'FAILED' if failed else 'ok':6}  {seconds:6.2f} s  {passed:3}  {name}"
    print(text + (f"  ({failed} failed)" if failed else ""), flush=True)
    for line in skipped:
        print(f"        skipped: {line}")
    for line in NOTE.findall(output):
        print(f"        {line}")
    if failed:
        print(f"--- {name}, exit status {status}:\n{output[-OUTPUT_SHOWN:]}---", flush=True)
    return passed, failed


def find(build, words):
    programs = [
        build / folder / source.stem for folder in ("unit", "flow")
        for source in sorted((ROOT / "tests" / folder).glob("*.c"))
        if folder == "unit" or source.stem.startswith("test_")]
    scenarios = [path for folder in ("e2e", "system")
                 for path in sorted((ROOT / "tests" / folder).glob("test_*.py"))]
    # Scenarios first: they take longest, and the short ones fill up the end.
    return [path for path in [*scenarios, *programs]
            if not words or any(word in os.path.relpath(path, ROOT) for word in words)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("-j", type=int, default=2, help="files at a time (default 2)")
    parser.add_argument("words", nargs="*")
    options = parser.parse_args()
    build = (ROOT / os.environ.get("PBXPUSH_BUILD", "build")).resolve()
    environment = {key: value for key, value in os.environ.items() if not key.startswith("CMOCKA_")}
    environment |= {"PBXPUSH_BUILD": str(build), "BUILD": str(build),
                    "PYTHONDONTWRITEBYTECODE": "1"}
    passed = failed = 0
    with concurrent.futures.ThreadPoolExecutor(max(options.j, 1)) as pool:
        jobs = [pool.submit(run, path, environment) for path in find(build, options.words)]
        for job in concurrent.futures.as_completed(jobs):
            good, bad = report(*job.result())
            passed, failed = passed + good, failed + bad
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed or not passed else 0)


if __name__ == "__main__":
    main()
