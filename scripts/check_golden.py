"""Checks that the program gives the same timelines as when golden_runs.csv was written.

  check_golden.py PROGRAM [--update]

Each row is a command line of the program, the iteration time that it printed and the hash of its
whole timeline. Every build type, sanitizer and machine must print the same. A change of models,
costs, lowering or searchers moves them on purpose: --update then writes what is printed now, and
the difference is reviewed with the change.
"""

import csv
import json
import shlex
import subprocess
import sys
from pathlib import Path

TABLE = Path(__file__).with_name("golden_runs.csv")
FIELDS = ["arguments", "iteration_time_s", "trace_hash"]


def observe(program, arguments):
    """The row that a run of the program gives now; its message in place of the hash if it fails."""
    command = [program, *shlex.split(arguments), "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        message = done.stderr.strip() or f"exit code {done.returncode}"
        return {"arguments": arguments, "iteration_time_s": "", "trace_hash": message}
    printed = json.loads(done.stdout, parse_float=str)
    return {"arguments": arguments, **{field: str(printed[field]) for field in FIELDS[1:]}}


def check(program, rows):
    """One line for each run that differs from its row."""
    if not rows:
        return ["there are no rows to compare with"]
    errors = []
    for row in rows:
        now = observe(program, row["arguments"])
        if now != row:
            errors.append(
                f"{row['arguments']}: {now['iteration_time_s']} {now['trace_hash']}, "
                f"expected {row['iteration_time_s']} {row['trace_hash']}"
            )
    return errors


def main():
    program = sys.argv[1]
    with TABLE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    if "--update" in sys.argv[2:]:
        with TABLE.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(observe(program, row["arguments"]) for row in rows)
        return 0
    errors = check(program, rows)
    print("\n".join(errors) if errors else f"{len(rows)} runs as before")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
