#!/usr/bin/env python3
"""Prints the tables of planners in strategies/uniap/README.md: every planner on UniAP's evaluation.

usage: planner_table.py SOAPBOX
Runs `soapbox race uniap` into a database of its own and reads its `plannings`. Simulated, analytic
and published figures have tables or columns of their own. CPU seconds are of tables and search
together, the least of three races.
"""
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from markdown_table import print_table

CLUSTERS = ["env_a", "env_b", "env_c", "env_d", "env_e"]
MODELS = ["bert_huge", "t5_large", "vit_huge", "swin_huge", "llama_7b", "llama_13b"]
COLUMNS = [("miqp", "own"), ("alpa", "own"), ("galvatron", "own"), ("miqp", "soapbox"),
           ("alpa", "soapbox"), ("galvatron", "soapbox"), ("megatron", "soapbox"),
           ("intra_only", "soapbox"), ("inter_only", "soapbox")]
RACES = 3


def run(words, folder):
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=folder)
    if done.returncode != 0:
        sys.exit(done.stderr)
    return done.stdout


def export(program, table, folder):
    return json.loads(run([program, "export", table, "--db", "uniap.db", "--format", "json"],
                          folder))


def race(program):
    """Published figures, and the last race's rows by cluster, model, planner and cost model."""
    with tempfile.TemporaryDirectory() as folder:
        run([program, "race", "uniap", "--jobs", "1", "--db", "uniap.db"], folder)
        rows = export(program, "plannings", folder)
        published = export(program, "references", folder)
    return published, {(r["cluster"], r["model"], r["method"], r["cost_model"]): r for r in rows}


def cpu_s(row):
    return row["table_cpu_s"] + row["search_cpu_s"]


def throughput(row):
    if row["simulated_s"] is None:
        return "does not run" if row["objective_s"] is not None else "no plan"
    return f"{row['batch'] / row['simulated_s']:.2f}"


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    program = str(Path(sys.argv[1]).resolve())
    published, found = race(program)
    races = [found] + [race(program)[1] for _ in range(RACES - 1)]
    cases = [(c, m) for c in CLUSTERS for m in MODELS if (c, m, "miqp", "soapbox") in found]

    def least(case, planner):
        return min(cpu_s(rows[case + planner]) for rows in races)

    print("Simulated samples per second:\n")
    names = [f"{method}, {model}" for method, model in COLUMNS]
    print_table(["cluster", "model", "batch"] + names,
                [list(case) + [str(found[case + COLUMNS[0]]["batch"])] +
                 [throughput(found[case + column]) for column in COLUMNS] for case in cases])
    print("Published samples per second, measured by the authors, and simulated here:\n")
    rows = []
    for cell in published:
        case = (cell["cluster"], cell["model"])
        cost_model = "soapbox" if cell["strategy"] == "intra_only" else "own"
        rows.append(list(case) + [cell["strategy"], f"{cell['value'] * cell['devices']:.2f}",
                                  throughput(found[case + (cell["strategy"], cost_model)])])
    print_table(["cluster", "model", "planner", "published", "simulated"], rows)
    print("Analytic: the exact search's plan, CPU seconds, and those of the rivals:\n")
    rows = []
    for case in cases:
        best = found[case + ("miqp", "soapbox")]
        times = [least(case, planner) for planner in
                 [("miqp", "soapbox"), ("alpa", "soapbox"), ("galvatron", "soapbox"),
                  ("galvatron", "own")]]
        rows.append(list(case) + [f"pp{best['pp']} c{best['microbatches']}",
                                  f"{best['objective_s']:.4f}", str(bool(best["proven"]))] +
                    [f"{t:.4f}" for t in times] + [f"{t / times[0]:.0f}" for t in times[1:]])
    print_table(["cluster", "model", "plan", "objective s", "proven", "miqp CPU s", "alpa",
                 "galvatron", "galvatron, own", "alpa / miqp", "galvatron / miqp",
                 "galvatron, own / miqp"], rows)
    print("Oracle: the exact search's choice against all candidates, simulated:\n")
    rows = []
    for case in cases:
        best = found[case + ("miqp", "soapbox")]
        rows.append(list(case) + [str(best["candidates"]), f"{100 * best['oracle_gap']:.2f} %",
                                  f"{best['spearman']:.3f}", f"{best['kendall']:.3f}",
                                  f"{100 * best['grid_infeasible']:.0f} %",
                                  f"{best['grid_spread']:.1f}"])
    print_table(["cluster", "model", "candidates", "oracle gap", "Spearman", "Kendall",
                 "by hand, infeasible", "by hand, slowest / fastest"], rows)


if __name__ == "__main__":
    main()
