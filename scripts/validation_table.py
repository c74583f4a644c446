#!/usr/bin/env python3
"""Prints the tables of errors in scenarios/validation/README.md.

usage: validation_table.py SOAPBOX
Errors in %. Step times: of test runs of trust A, and of all runs. "in interval": the share of runs
whose measured time lies in the predicted 90 % interval.
"""
import json
import statistics
import subprocess
import sys

from markdown_table import print_table

COLUMNS = ["runs", "median", "90th", "bias", "worst", "in interval"]


def predictions(program):
    words = [program, "validate", "--runs", "training_runs", "--format", "json"]
    ran = subprocess.run(words, capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        sys.exit(ran.stderr)
    return json.loads(ran.stdout)


def quantile(ordered, share):
    """Linear between order statistics, as the program has it."""
    at = share * (len(ordered) - 1)
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (at - low) * (ordered[high] - ordered[low])


def summary(rows):
    if not rows:
        return ["0"] + ["-"] * (len(COLUMNS) - 1)
    errors = [100 * row["step_time_error"] for row in rows]
    sizes = sorted(abs(error) for error in errors)
    inside = [row["low_s"] <= row["measured_step_time_s"] <= row["high_s"] for row in rows]
    return [str(len(rows)), f"{statistics.median(sizes):.1f}",
            f"{quantile(sizes, 0.9):.1f}", f"{statistics.mean(errors):+.1f}",
            f"{max(errors, key=abs):+.1f}", f"{100 * sum(inside) / len(rows):.0f}"]


def of_group(rows, group):
    return [row for row in rows if group in ("all", row["group"])]


def print_step_times(rows):
    timed = [row for row in rows if row["step_time_error"] is not None]
    test = [row for row in timed if row["split"] == "test" and row["trust"] == "A"]
    table = []
    for group in ["all"] + sorted({row["group"] for row in timed}):
        table.append([group] + summary(of_group(test, group)) + summary(of_group(timed, group)))
    print_table(["group"] + ["test, A: runs"] + COLUMNS[1:] + ["all: runs"] + COLUMNS[1:], table)


def print_memory(rows):
    table = []
    for group in ["all"] + sorted({row["group"] for row in rows}):
        known = [row for row in of_group(rows, group)
                 if row["predicted_peak_memory_bytes"] is not None]
        errors = [100 * row["memory_error"] for row in known if row["memory_error"] is not None]
        failed = [row for row in known if row["ran_out_of_memory"]]
        ran = [row for row in known if not row["ran_out_of_memory"]]
        alarms = sum(not row["feasible"] for row in ran)
        if not errors and not failed and alarms == 0:
            continue
        means = ["-", "-"]
        if errors:
            means = [f"{statistics.mean(map(abs, errors)):.1f}", f"{statistics.mean(errors):+.1f}"]
        table.append([group, str(len(errors))] + means +
                     [f"{sum(not row['feasible'] for row in failed)} of {len(failed)}",
                      f"{alarms} of {len(ran)}"])
    print_table(["group", "peak memories", "mean error", "bias", "out of memory found",
                 "false alarms"], table)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    rows = predictions(sys.argv[1])
    print_step_times(rows)
    print_memory(rows)


if __name__ == "__main__":
    main()
