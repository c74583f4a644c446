#!/usr/bin/env python3
"""Prints the tables of errors in scenarios/validation/README.md.

usage: validation_table.py SOAPBOX
Errors in %. Step times: of test runs of trust A, and of all runs. "in interval": the share of runs
whose measured time lies in the predicted 90 % interval. Then the same for the runs of
unseen_runs.csv.

Intervals, cross-conformal over groups: a run's score is its error over the side of its interval
that the error is on. For each group, "factor" is the 90 % quantile of the scores of all other
groups of its trust, which weigh the same each; "covered" the share of its runs whose score is no
more than that: 90 % is what a group that was never seen should find. Factors about 1 say that the
intervals are as wide as they must be.
"""
import json
import statistics
import subprocess
import sys

from markdown_table import print_table

COLUMNS = ["runs", "median", "90th", "bias", "worst", "in interval"]


def predictions(program, table):
    words = [program, "validate", "--runs", table, "--format", "json"]
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


def score(row):
    measured, predicted = row["measured_step_time_s"], row["predicted_step_time_s"]
    if measured > predicted:
        return (measured - predicted) / (row["high_s"] - predicted)
    return (predicted - measured) / (predicted - row["low_s"])


def equal_group_quantile(groups, share):
    points = sorted((one, 1 / len(scores) / len(groups)) for scores in groups for one in scores)
    below = 0.0
    for one, weight in points:
        below += weight
        if below >= share:
            return one
    return points[-1][0]


def width(row):
    return 100 * (row["high_s"] - row["low_s"]) / row["predicted_step_time_s"]


def print_intervals(rows):
    timed = [row for row in rows if row["step_time_error"] is not None]
    table = []
    for trust in sorted({row["trust"] for row in timed}):
        own = [row for row in timed if row["trust"] == trust]
        names = sorted({row["group"] for row in own})
        groups = {name: [score(row) for row in of_group(own, name)] for name in names}
        covered = {}
        for name in names:
            others = [scores for group, scores in groups.items() if group != name]
            factor = equal_group_quantile(others, 0.9)
            covered[name] = statistics.mean(one <= factor for one in groups[name])
        by_run = statistics.mean(covered[row["group"]] for row in own)
        table.append([trust, str(len(names)), str(len(own)),
                      f"{equal_group_quantile(groups.values(), 0.9):.2f}", f"{100 * by_run:.0f}",
                      f"{100 * statistics.mean(covered.values()):.0f}",
                      f"{statistics.mean(width(row) for row in own):.0f}"])
    print_table(["trust", "groups", "runs", "factor", "covered, of runs", "covered, mean of groups",
                 "mean width"], table)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    rows = predictions(sys.argv[1], "training_runs")
    unseen = predictions(sys.argv[1], "unseen_runs")
    for table in (rows, unseen):
        print_step_times(table)
        print_memory(table)
    print_intervals(rows + unseen)


if __name__ == "__main__":
    main()
