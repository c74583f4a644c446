"""Finds the functions of a C++ file by matching braces: enough for their names and lengths.

At namespace and class scope, the text between the last `;`, `{` or `}` and an opening brace (the
head) says what the brace opens: a scope to look into, a braced initialiser to skip, or a function.
Lambdas and local classes count as part of the function around them.
"""

import re
from typing import NamedTuple

from source_tree import code_only


class Function(NamedTuple):
    name: str
    line: int  # where its declaration begins, 1-based
    length: int  # lines up to the closing brace


_NO_CODE = re.compile(
    r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*|\b(?:public|private|protected)\s*:(?!:)", re.MULTILINE)
_PREFIX = re.compile(
    r"^(?:\s*(?:template\s*<(?:[^<>]|<(?:[^<>]|<[^<>]*>)*>)*>|\[\[[^\]]*\]\]"
    r"|static|inline|constexpr|typedef|export))*\s*"
)
_SCOPE = re.compile(r"(?:namespace|class|struct|union|extern\s*\"\")(?![\w])")
_ASSIGNMENT = re.compile(r"(?<![=!<>+\-*/%&|^])=(?!=)")
_MEMBER_INITIALISER = re.compile(r"\)\s*(?:noexcept\s*)?:(?!:).*[\w>]\s*$", re.DOTALL)
_NAME = re.compile(r"(operator\s*(?:\(\s*\)|[^\s(]+)|~?[\w:]+)\s*(?:<[^()]*>)?\s*\(")


def _close(code, opening):
    """The position of the brace that closes the one at `opening`."""
    depth = 0
    for match in re.compile(r"[{}]").finditer(code, opening):
        depth += 1 if match.group() == "{" else -1
        if depth == 0:
            return match.start()
    return len(code) - 1


def _classify(head):
    """What a brace after `head` opens: 'scope', 'initialiser' or 'function'."""
    declaration = _PREFIX.sub("", head, count=1)
    if _SCOPE.match(declaration):
        return "scope"
    without_operator = re.sub(r"operator\s*[^\w\s(]+", "operator", declaration)
    outside_parentheses = without_operator
    while "(" in outside_parentheses:
        shorter = re.sub(r"\([^()]*\)", " ", outside_parentheses)
        if shorter == outside_parentheses:
            return "initialiser"  # an open parenthesis: a default argument
        outside_parentheses = shorter
    if "(" not in declaration or _ASSIGNMENT.search(outside_parentheses):
        return "initialiser"
    if _MEMBER_INITIALISER.search(declaration):
        return "initialiser"
    return "function"


def _name(head):
    match = _NAME.search(_PREFIX.sub("", head, count=1))
    name = match.group(1) if match else "?"
    if name.startswith("TEST"):
        return head[match.start(1):].split("{")[0].strip()
    return name


def find_functions(text):
    """The functions of a C++ file, in order."""
    code = _NO_CODE.sub(lambda m: "\n" * m.group().count("\n"), code_only(text))
    functions = []
    head_start = position = 0
    boundary = re.compile(r"[;{}]")
    while match := boundary.search(code, position):
        position = match.end()
        head = code[head_start:match.start()]
        if match.group() != "{":
            head_start = head_start if _is_open(head) else position
            continue
        kind = _classify(head)
        if kind == "scope":
            head_start = position
            continue
        position = _close(code, match.start()) + 1
        if kind == "function":
            first = head_start + len(head) - len(head.lstrip())
            line = code.count("\n", 0, first) + 1
            length = code.count("\n", first, position) + 1
            functions.append(Function(_name(head), line, length))
            head_start = position
    return functions


def _is_open(head):
    """Whether a `;` or `}` after `head` stands inside parentheses."""
    return head.count("(") > head.count(")")
