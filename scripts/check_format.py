"""Checks that clang-format would change nothing. Skipped where its version is not the project's."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from source_tree import CPP_SUFFIXES, project_files

VERSION = 14  # Debian 12's; other versions format a few things in other ways
SKIPPED = 77  # the exit code that CTest reads as "skipped"


def find_clang_format():
    """The program's path, or None with the reason."""
    for name in (f"clang-format-{VERSION}", "clang-format"):
        program = shutil.which(name)
        if program:
            text = subprocess.run([program, "--version"], capture_output=True, text=True).stdout
            if re.search(rf"version {VERSION}\.", text):
                return program, None
    return None, f"there is no clang-format {VERSION} here"


def main():
    root = Path(sys.argv[1]).resolve()
    program, reason = find_clang_format()
    if program is None:
        print(f"skipped: {reason}")
        return SKIPPED
    files = [path for path in project_files(root) if path.suffix in CPP_SUFFIXES]
    command = [program, "--dry-run", "--Werror", *map(str, files)]
    run = subprocess.run(command, cwd=root, capture_output=True, text=True)
    if run.returncode == 0:
        print(f"{len(files)} files are formatted")
        return 0
    wrong = sorted(set(re.findall(r"^([^\s:]+):\d+:\d+: error", run.stderr, re.MULTILINE)))
    print("clang-format -i " + " ".join(wrong) if wrong else run.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
