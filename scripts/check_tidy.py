"""Checks the rules of the code that a compiler does not: sizes, words, maps of the folders.

A limit that old code breaks may stand in RATCHET with its present value: the entry can only shrink,
because one that is larger than the truth, or not needed any more, is an error too.
"""

import ast
import re
import sys
from fnmatch import fnmatch
from pathlib import Path

from cpp_functions import Function, find_functions
from source_tree import CPP_SUFFIXES, code_only, project_files

MAX_FUNCTION_LINES = 70
MAX_FILE_LINES = 500
MAX_COLUMNS = 100

# "path" -> lines of the file, "path:function" -> lines of the function. Empty is best.
RATCHET = {}

CODE_SUFFIXES = CPP_SUFFIXES | {".py", ".sql"}
_FREE_TEXT_SUFFIXES = {".md", ".csv", ".tsv", ".json", ".jsonl", ".toml", ".golden", ".txt", ".xml"}

_BANNED_PATH = re.compile(r"(?:^|[/_])(?:utils?|helpers?|misc|common|manager)(?:[/_.]|$)")

# What no line of C++ may contain, comments and strings aside, and why.
BANNED_CODE = [
    (r"\busing\s+namespace\b", "names say where they come from"),
    (r"\bstd::(?:rand|srand|random_device|mt19937\w*|\w+_distribution)\b",
     "only sim/base/rng.h gives the same numbers everywhere"),
    (r"\bstd::(?:views|ranges::(?:equal_range|subrange))\b",
     "clang 14 cannot compile libstdc++'s views"),
    (r"(?<![\w.])assert\s*\(", "SOAPBOX_CHECK and SOAPBOX_DCHECK say more"),
]

# What no text file may contain: unfinished work, and the paths of somebody's machine.
BANNED_TEXT = [
    (r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X)\b", "finish it, or open an issue"),
    (r"(?<![\w.}~-])/(?:home|work|root|Users|mnt|scratch)/", "a path of one machine"),
]

_IS_FILE = re.compile(r"[\w./{},*-]+\.(?:h|cc|cu|cuh|py|cmake|sql|md)")
_PLACEHOLDER = re.compile(r"\*|(?<![A-Za-z])[A-Z]{2,}(?![A-Za-z])")
_NAME = re.compile(r"`([^`\s]+)`")
_FIRST_CELL = re.compile(r"^\|([^|]*)\|", re.MULTILINE)
_NOUN = re.compile(r"(?:_test|_bench)?\.(?:h|cc|cu|cuh|py)$")


def python_functions(text):
    """The functions of a Python file, with the lengths that find_functions gives for C++."""
    return [
        Function(node.name, node.lineno, node.end_lineno - node.lineno + 1)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    ]


def check_sizes(path, text, ratchet, used):
    """Errors of the lengths of a file and of its functions; fills `used` with ratchet keys."""
    if path.suffix in CPP_SUFFIXES:
        functions = find_functions(text)
    else:
        functions = python_functions(text) if path.suffix == ".py" else []
    sizes = [(path.as_posix(), f"{path}", text.count("\n"), MAX_FILE_LINES)]
    sizes += [
        (f"{path}:{f.name}", f"{path}:{f.line}: {f.name}", f.length, MAX_FUNCTION_LINES)
        for f in functions
    ]
    errors = []
    for key, where, lines, limit in sizes:
        allowed = ratchet.get(key, limit)
        if lines > limit:
            used.add(key)
        if lines > allowed:
            errors.append(f"{where}: {lines} lines, at most {allowed} are allowed")
        elif limit < lines < allowed:
            errors.append(f"{where}: {lines} lines, so lower its RATCHET entry from {allowed}")
    return errors


def check_lines(path, text):
    """Errors of single lines: width, tabs, spaces at the end, and how the file ends."""
    errors = []
    for number, line in enumerate(text.split("\n"), start=1):
        if path.suffix in CODE_SUFFIXES and len(line) > MAX_COLUMNS:
            errors.append(f"{path}:{number}: {len(line)} columns, at most {MAX_COLUMNS}")
        if "\t" in line and path.suffix != ".tsv":
            errors.append(f"{path}:{number}: a tab")
        if line != line.rstrip():
            errors.append(f"{path}:{number}: white space at the end of the line")
    if text and not text.endswith("\n"):
        errors.append(f"{path}: no newline at the end of the file")
    return errors


def check_words(path, text):
    """Errors of names and words that the project does not use."""
    errors = []
    if _BANNED_PATH.search(path.as_posix()):
        errors.append(f"{path}: name the file after what it holds")
    sought = [(text, BANNED_TEXT)]
    if path.suffix in CPP_SUFFIXES:
        sought.append((code_only(text), BANNED_CODE))
    for searched, banned in sought:
        for pattern, why in banned:
            for match in re.finditer(pattern, searched):
                line = searched.count("\n", 0, match.start()) + 1
                errors.append(f"{path}:{line}: '{match.group()}': {why}")
    return errors


def _names_in(text):
    """What a map names: words between backticks, and those of the first column of its tables."""
    cells = " ".join(_FIRST_CELL.findall(text)).replace("`", " ")
    words = _NAME.findall(text) + re.sub(r",(?=\s)", " ", cells).split()
    return [name for word in dict.fromkeys(words) for name in _expand_braces(word)]


def _expand_braces(name):
    """a.{h,cc} -> [a.h, a.cc]"""
    match = re.search(r"\{([^{}]*)\}", name)
    if not match:
        return [name]
    return [
        name[:match.start()] + choice + rest
        for choice in match.group(1).split(",")
        for rest in _expand_braces(name[match.end():])
    ]


def _is_named(path, names):
    """A file is named by its path or name; x.h stands for x.cc, x_test.cc and x_bench.cc too."""
    for known in (path.as_posix(), path.name):
        noun = _NOUN.sub("", known)
        if any(fnmatch(known, name) or (_NOUN.sub("", name) == noun and _NOUN.search(name))
               for name in names):
            return True
    return False


def check_folder_map(root, readme, files):
    """A folder's README.md names every file below it, and no file that is not there.

    A folder below with a README.md of its own maps itself. The one in the root maps folders.
    """
    folder = readme.parent
    text = (root / readme).read_text(encoding="utf-8")
    names = _names_in(text)
    maps = {file.parent for file in files if file.name == "README.md"}
    below = [file for file in files if folder in file.parents]
    errors = []
    for file in below:
        nearest = next(parent for parent in file.parents if parent in maps)
        if folder == Path("."):
            wanted = f"{file.parts[0]}/"
            if file.name == "CMakeLists.txt" and len(file.parts) == 2 and wanted not in names:
                errors.append(f"{readme}: does not name the folder {wanted}")
        elif nearest == folder and file.name not in ("README.md", "CMakeLists.txt"):
            if not _is_named(file.relative_to(folder), names):
                errors.append(f"{readme}: does not name {file.relative_to(folder)}")
    tails = {Path(*file.parts[i:]).as_posix() for file in below for i in range(len(file.parts))}
    tails |= {file.as_posix() for file in files}
    for name in filter(_IS_FILE.fullmatch, names):
        if name not in tails and not _PLACEHOLDER.search(name.replace("README", "")):
            errors.append(f"{readme}: names {name}, which does not exist")
    return errors


def check_maps(root, files):
    """Errors of every folder map, and of folders that have none."""
    maps = [file for file in files if file.name == "README.md"]
    errors = [error for readme in maps for error in check_folder_map(root, readme, files)]
    mapped = {readme.parent for readme in maps}
    for top in sorted({file.parts[0] for file in files if len(file.parts) > 1}):
        if not top.startswith(".") and Path(top) not in mapped:
            errors.append(f"{top}: has no README.md")
    return errors


def check(root, ratchet=None):
    """All errors of the project below `root`, one line each."""
    ratchet = RATCHET if ratchet is None else ratchet
    files = project_files(root)
    errors, used = [], set()
    for path in files:
        try:
            text = (root / path).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # compressed data
        errors += check_words(path, text)
        if path.suffix not in _FREE_TEXT_SUFFIXES:
            errors += check_lines(path, text)
        if path.suffix in CODE_SUFFIXES:
            errors += check_sizes(path, text, ratchet, used)
    errors += [f"RATCHET: {key} is within the limits: remove it" for key in ratchet.keys() - used]
    return errors + check_maps(root, files)


def main():
    errors = check(Path(sys.argv[1]).resolve())
    print("\n".join(errors) if errors else "tidy")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
