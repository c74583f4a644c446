"""The project's files, and C++ text reduced to code: what the style checks read."""

import re
from pathlib import Path

CPP_SUFFIXES = {".h", ".cc", ".cu", ".cuh"}

_SKIPPED_FOLDERS = {"build", "__pycache__"}
_SKIPPED_SUFFIXES = {".db", ".db-shm", ".db-wal", ".pyc"}
_HIDDEN_FOLDERS = {".ci"}  # the only one that is ours

_NOT_CODE = re.compile(
    r'//[^\n]*'
    r'|/\*.*?\*/'
    r'|R"(?P<tag>[^()\s\\]{0,16})\(.*?\)(?P=tag)"'
    r'|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'",  # not the ' of 1'000
    re.DOTALL,
)


def project_files(root):
    """Every file of the project below `root`, as sorted paths relative to it."""
    found = []
    for path in sorted(Path(root).iterdir()):
        if path.is_dir():
            hidden = path.name.startswith(".") and path.name not in _HIDDEN_FOLDERS
            if not hidden and path.name not in _SKIPPED_FOLDERS:
                found += [Path(path.name) / below for below in project_files(path)]
        elif path.name != ".git" and path.suffix not in _SKIPPED_SUFFIXES:
            found.append(Path(path.name))
    return found


def code_only(text):
    """`text` with comments blanked and literals emptied; every line keeps its number."""

    def blank(match):
        literal = match.group()
        if literal[0] == "/":
            return "\n" * literal.count("\n")
        return '""' + "\n" * literal.count("\n")

    return _NOT_CODE.sub(blank, text)
