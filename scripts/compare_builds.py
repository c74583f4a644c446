"""Checks that two builds of the program give the same bytes.

  compare_builds.py PROGRAM OTHER_PROGRAM

Runs the same command lines with both, for instance build/release/soapbox and build/asan/soapbox,
and compares all that a run determines, the hash of its whole timeline included.
"""

import json
import shlex
import subprocess
import sys

MODELS = ["alexnet", "inception_v3", "resnet101", "rnntc", "rnnlm", "nmt"]
CLUSTERS = ["p100_4x4", "k80_16x4"]
RECIPES = ["data_parallel", "expert"]
COMMANDS = [
    f"simulate --model {model} --cluster {cluster} --devices 16 --recipe {recipe}"
    for model in MODELS for cluster in CLUSTERS for recipe in RECIPES
] + [
    f"simulate --model alexnet --cluster p100_4x4 --sync {sync}"
    for sync in ["serial", "parameter_server", "bulk"]
] + [
    "simulate --model rnnlm --cluster p100_4x4 --devices 6 --recipe model_parallel",
    "simulate --model nmt_steps --cluster p100_4x4 --devices 4 --recipe data_parallel",
    "search --method mcmc --model alexnet --cluster p100_4x4 --devices 8 --budget 200 --seed 7",
    "search --method hill --model rnnlm --cluster k80_16x4 --devices 16 --budget 200 --seed 7",
    "search --method random --model nmt --cluster p100_4x4 --budget 50 --seed 7",
]


def observe(program, command):
    """What a run prints but for the time it took; its message where it fails."""
    arguments = [program, *shlex.split(command), "--format", "json"]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=600)
    if done.returncode != 0:
        return {"failed": done.stderr.strip() or f"exit code {done.returncode}"}
    printed = json.loads(done.stdout, parse_float=str)
    return {name: value for name, value in printed.items() if not name.endswith("cpu_s")}


def differences(left, right):
    """One line for each command whose runs differ, fail, or show no timeline."""
    errors = []
    for command in COMMANDS:
        a, b = observe(left, command), observe(right, command)
        names = [name for name in {**a, **b} if a.get(name) != b.get(name)]
        errors += [f"{command}: {name}: {a.get(name)} and {b.get(name)}" for name in names]
        if "trace_hash" not in a:
            errors.append(f"{command}: {a.get('failed', 'no trace_hash')}")
    return errors


def main():
    errors = differences(sys.argv[1], sys.argv[2])
    print("\n".join(errors) if errors else f"{len(COMMANDS)} runs give the same bytes")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
