"""Tables of Markdown, for the scripts that print those of a README."""


def print_table(heads, rows):
    """One table and an empty line. `rows` are lists of text, as long as `heads`."""
    print("|", " | ".join(heads), "|")
    print("|---" * len(heads) + "|")
    for row in rows:
        print("|", " | ".join(row), "|")
    print()
