"""Checks that every #include follows the layers, and that the table of layers is acyclic.

The table is the picture of the data flow in README.md: a folder may include itself and the folders
that its row names, nothing else. Libraries from outside have a table of their own.
"""

import re
import sys
from pathlib import Path

from source_tree import CPP_SUFFIXES, project_files

_BASE = {"sim/base"}
_WORLD = _BASE | {"sim/engine", "sim/model", "sim/cluster"}
_DESCRIPTION = _WORLD | {"sim/plan", "sim/cost", "sim/collective"}
_SIM = _DESCRIPTION | {"sim/simulate", "sim/parallel"}

# folder -> the folders it may include besides itself.
ALLOW = {
    "sim/base": set(),
    "sim/engine": _BASE,
    "sim/model": _BASE,
    "sim/cluster": _BASE,
    "sim/plan": _WORLD,
    "sim/cost": _WORLD,
    "sim/collective": _WORLD,
    "sim/simulate": _DESCRIPTION,
    "sim/parallel": _DESCRIPTION | {"sim/simulate"},
    "strategies/miqp": _BASE,
    "strategies": _SIM | {"strategies/miqp"},
    "calib/backend": _SIM,
    "calib/cuda": _SIM | {"calib/backend", "calib/probes", "calib/sampling"},
    "calib/fits": _SIM,
    "calib/probes": _SIM | {"calib/backend"},
    "calib/runs": _SIM | {"calib/backend", "calib/fits"},
    "calib/sampling": _SIM | {"calib/backend", "calib/fits", "calib/probes", "calib/runs"},
    "results": _BASE,
    "scenarios/runner/scenario_files": _DESCRIPTION,
    "scenarios/runner/measured_runs": _DESCRIPTION | {"scenarios/runner/scenario_files"},
    "scenarios/runner/topology_import": _DESCRIPTION | {"scenarios/runner/scenario_files"},
    "scenarios/runner": _SIM | {"strategies", "strategies/miqp", "results"} | {
        f"calib/{library}" for library in ("backend", "fits", "runs", "sampling")
    } | {
        f"scenarios/runner/{library}"
        for library in ("scenario_files", "measured_runs", "topology_import")
    },
}

_TESTS = r".*_test\.cc|.*/test_\w+\.h"

# Start of an outside header -> (files that may include it, why not the others).
LIBRARIES = {
    "boost/program_options": (r"scenarios/runner/\w+\.cc", "only the program reads a command line"),
    "boost/": (r".*\.cc", "Boost is slow to compile: .cc files only"),
    "toml": (r".*\.cc", "slow to compile: .cc files only"),
    "nlohmann/": (r".*\.cc", "slow to compile: .cc files only"),
    "sqlite3": (r"results/\w+\.(h|cc)", "results/ is the only code that touches SQLite"),
    "gtest/": (_TESTS, "test code only"),
    "gmock/": (_TESTS, "test code only"),
    "benchmark/": (r".*_bench\.cc", "benchmark code only"),
    "Cbc_": (r"strategies/miqp/milp_cbc\.cc", "one file knows it"),
    "interfaces/highs": (r"strategies/miqp/milp_highs\.cc", "one file knows it"),
    "cu": (r"calib/.*", "only calib/ talks to devices"),
    "dnnl": (r"calib/backend/onednn_kernels\.cc", "the module libsoapbox_cpu is its only user"),
    "nccl": (r"calib/.*", "only calib/ talks to devices"),
}

_INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]', re.MULTILINE)


def layer_of(path):
    """The row of ALLOW that a file belongs to, or None."""
    for folder in Path(path).parents:
        if folder.as_posix() in ALLOW:
            return folder.as_posix()
    return None


def check_table(allow):
    """The errors of the table itself: unknown names and cycles."""
    errors = [
        f"{folder} may include {below}, which has no row"
        for folder, row in allow.items()
        for below in sorted(row)
        if below not in allow
    ]
    placed = set()
    while not errors and len(placed) < len(allow):
        ready = [folder for folder in allow if folder not in placed and allow[folder] <= placed]
        if not ready:
            errors.append("a cycle among " + ", ".join(sorted(set(allow) - placed)))
        placed.update(ready)
    return errors


def check_project_include(root, path, target):
    """The error of `#include "target"` in `path`, or None."""
    if not (root / target).is_file():
        return f'"{target}" is no file of the project: write the path from the root'
    layer, below = layer_of(path), layer_of(target)
    if layer is None:
        return "the folder has no row in the table of layers"
    if below != layer and below not in ALLOW[layer]:
        allowed = ", ".join(sorted(ALLOW[layer])) or "nothing but itself"
        return f'{layer} must not include "{target}": it may include {allowed}'
    return None


def check_library_include(path, target):
    """The error of `#include <target>` in `path`, or None."""
    for start, (files, why) in LIBRARIES.items():
        if target.startswith(start):
            return None if re.fullmatch(files, path.as_posix()) else f"<{target}>: {why}"
    return None


def check_own_header_first(root, path, includes):
    """x.cc includes x.h first, which is how x.h is known to compile alone."""
    own = path.with_suffix(".h")
    if path.suffix != ".cc" or not (root / own).is_file():
        return None
    if includes and includes[0] == own.as_posix():
        return None
    return f'"{own.as_posix()}" must be the first include'


def check(root):
    """All errors of the project below `root`, one line each."""
    errors = [f"table of layers: {error}" for error in check_table(ALLOW)]
    for path in project_files(root):
        if path.suffix not in CPP_SUFFIXES:
            continue
        text = (root / path).read_text(encoding="utf-8")
        includes = []
        for match in _INCLUDE.finditer(text):
            target = match.group(2)
            includes.append(target)
            error = (
                check_project_include(root, path, target)
                if match.group(1) == '"'
                else check_library_include(path, target)
            )
            if error:
                line = text.count("\n", 0, match.start(2)) + 1
                errors.append(f"{path}:{line}: {error}")
        error = check_own_header_first(root, path, includes)
        if error:
            errors.append(f"{path}: {error}")
    return errors


def main():
    errors = check(Path(sys.argv[1]).resolve())
    print("\n".join(errors) if errors else "the includes follow the layers")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
