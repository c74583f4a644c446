"""The README check runs what the text quotes, and tries what it recommends."""

import tempfile
import unittest
from pathlib import Path

import check_readme

PROGRAM = """#!/bin/sh
case "$*" in
  "list models") echo alexnet ;;
  "search --seed 1 --help") echo "how to search" ;;
  *) echo "soapbox: unknown command '$*'" >&2; exit 2 ;;
esac
"""
QUOTED = "```console\n$ soapbox list models\nalexnet\n```\n"
EXAMPLE = "```sh\nsoapbox search --seed 1  # why\nscripts/run\n```\n"


class CheckReadmeTest(unittest.TestCase):
    def setUp(self):
        self._folder = tempfile.TemporaryDirectory()
        self.addCleanup(self._folder.cleanup)
        self.program = Path(self._folder.name) / "soapbox"
        self.program.write_text(PROGRAM, encoding="utf-8")
        self.program.chmod(0o755)

    def errors(self, text):
        return check_readme.check_program(text, self.program)

    def test_true_text_passes(self):
        self.assertEqual(self.errors(QUOTED + EXAMPLE), [])

    def test_output_that_changed_is_found(self):
        errors = self.errors(QUOTED.replace("alexnet", "lenet") + EXAMPLE)
        self.assertEqual(errors, ["soapbox list models prints\nalexnet\n"])

    def test_quoted_command_that_fails_is_found(self):
        errors = self.errors("```console\n$ soapbox run\n```\n" + EXAMPLE)
        self.assertEqual(errors, ["soapbox run prints\nsoapbox: unknown command 'run'\n"])

    def test_example_that_the_program_refuses_is_found(self):
        errors = self.errors(QUOTED + "```sh\nsoapbox search --sede 1\n```\n")
        self.assertEqual(len(errors), 1)
        self.assertIn("search --sede 1: soapbox: unknown command", errors[0])

    def test_text_without_commands_is_no_proof(self):
        self.assertEqual(self.errors("words"), ["README.md shows no commands"])
        self.assertEqual(self.errors(QUOTED), ["README.md shows no commands"])

    def test_packages_are_those_that_are_explained(self):
        text = "\nDependencies:\n\n| package | why |\n| `a`, `b` | c |\n\n## Next\n| `d` |\n"
        self.assertEqual(check_readme.check_packages(text, {"a", "b"}), [])
        self.assertEqual(check_readme.check_packages(text, {"a", "b", "c"}),
                         ["the package c is installed and not explained"])
        self.assertEqual(check_readme.check_packages(text, {"a"}),
                         ["the package b is explained and not installed"])


if __name__ == "__main__":
    unittest.main()
