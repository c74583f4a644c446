#!/usr/bin/env python3
"""Prints the table of planners in strategies/uniap/README.md: every planner on UniAP's evaluation.

usage: planner_table.py SOAPBOX
Batches are those recalled of the paper (see the README). Simulated samples per second; CPU seconds
are of tables and search together.
"""
import json
import subprocess
import sys

CASES = [("env_a", "bert_huge", 32), ("env_a", "t5_large", 16), ("env_a", "vit_huge", 128),
         ("env_a", "swin_huge", 128), ("env_b", "bert_huge", 16), ("env_b", "t5_large", 8),
         ("env_b", "vit_huge", 64), ("env_b", "swin_huge", 32), ("env_c", "llama_7b", 8),
         ("env_c", "llama_13b", 4), ("env_d", "bert_huge", 32), ("env_e", "bert_huge", 64)]
METHODS = ["miqp", "galvatron", "alpa", "megatron", "intra_only", "inter_only"]


def search(program, cluster, model, batch, method):
    words = [program, "search", "--method", method, "--model", model, "--cluster", cluster,
             "--global-batch", str(batch), "--format", "json"]
    ran = subprocess.run(words, capture_output=True, text=True, check=False)
    if ran.returncode not in (0, 3):
        sys.exit(ran.stderr)
    return json.loads(ran.stdout)


def cell(row):
    if row["samples_per_s"] is None:
        return row["failure"]
    return f"{row['samples_per_s']:.2f}"


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    heads = ["cluster", "model", "batch"] + METHODS + ["plan", "CPU s", "objective/simulated"]
    print("|", " | ".join(heads), "|")
    print("|---" * len(heads) + "|")
    for cluster, model, batch in CASES:
        rows = [search(sys.argv[1], cluster, model, batch, method) for method in METHODS]
        best = rows[0]
        cells = [cluster, model, str(batch)] + [cell(row) for row in rows]
        if best["samples_per_s"] is not None:
            cells += [f"pp{best['pp']} c{best['microbatches']}",
                      f"{best['table_cpu_s'] + best['search_cpu_s']:.3f}",
                      f"{best['objective_s'] / best['iteration_time_s']:.3f}"]
        print("|", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()
