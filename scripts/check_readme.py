"""Checks README.md against the program: examples parse, quoted output is what is printed.

  check_readme.py ROOT PROGRAM

In a ```console block, each line "$ soapbox .." is run, and the lines below it are its output. In a
```sh block, each line "soapbox .." is tried with --help added: its command and options must exist.
"""

import re
import shlex
import subprocess
import sys
from pathlib import Path

_BLOCK = re.compile(r"^```(console|sh)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PACKAGE_CELL = re.compile(r"^\| (`[^|]*`) \|", re.MULTILINE)


def quoted_runs(text):
    """The (arguments, expected output) of each command in the console blocks."""
    runs = []
    for kind, body in _BLOCK.findall(text):
        if kind == "console":
            for part in re.split(r"^\$ soapbox ", body, flags=re.MULTILINE)[1:]:
                command, _, output = part.partition("\n")
                runs.append((shlex.split(command), output))
    return runs


def examples(text):
    """The arguments of each soapbox command in the sh blocks."""
    return [
        shlex.split(line.removeprefix("soapbox"), comments=True)
        for kind, body in _BLOCK.findall(text) if kind == "sh"
        for line in body.splitlines() if line.startswith("soapbox ")
    ]


def run(program, arguments):
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


def check_program(text, program):
    """Errors of the commands that the text shows."""
    errors = []
    for arguments, expected in quoted_runs(text):
        code, output, messages = run(program, arguments)
        if code != 0 or output.rstrip() != expected.rstrip():
            errors.append(f"soapbox {shlex.join(arguments)} prints\n{output}{messages}")
    for arguments in examples(text):
        code, _, messages = run(program, [*arguments, "--help"])
        if code != 0:
            errors.append(f"soapbox {shlex.join(arguments)}: {messages.strip()}")
    if not errors and not (quoted_runs(text) and examples(text)):
        errors.append("README.md shows no commands")
    return errors


def check_packages(text, packages):
    """Errors of packages that are installed and not explained, or the other way round."""
    section = text.partition("\nDependencies")[2].partition("\n## ")[0]
    explained = set(re.findall(r"`([^`]+)`", " ".join(_PACKAGE_CELL.findall(section))))
    return [
        f"the package {name} is installed and not explained" for name in packages - explained
    ] + [f"the package {name} is explained and not installed" for name in explained - packages]


def main():
    root, program = Path(sys.argv[1]), sys.argv[2]
    text = (root / "README.md").read_text(encoding="utf-8")
    listing = subprocess.run([root / "scripts/install_packages", "--list"], capture_output=True,
                             text=True, check=True).stdout
    errors = check_packages(text, set(listing.split())) + check_program(text, program)
    print("\n".join(errors) if errors else "README.md is true")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
