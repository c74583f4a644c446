"""The tidy check finds each kind of planted disorder, and accepts an orderly tree."""

import tempfile
import unittest
from pathlib import Path

import check_tidy


class CheckTidyTest(unittest.TestCase):
    def setUp(self):
        self._folder = tempfile.TemporaryDirectory()
        self.root = Path(self._folder.name)
        self.addCleanup(self._folder.cleanup)
        self.write("README.md", "- `sim/`: the simulator\n")
        self.write("sim/CMakeLists.txt", "add_subdirectory(base)\n")
        self.write("sim/README.md", "- `str.h`: text\n- `base/ids.{h,cc}`: ids\n")
        self.write("sim/base/str.h", "int size();\n")
        self.write("sim/base/str.cc", "int size() { return 1; }\n")
        self.write("sim/base/str_test.cc", "TEST(Str, HasASize) {}\n")
        self.write("sim/base/ids.h", "")
        self.write("sim/base/ids.cc", "")

    def write(self, path, text):
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text, encoding="utf-8")

    def assert_errors(self, *expected, ratchet=None):
        """The errors are as many as `expected`, and contain those texts in that order."""
        errors = check_tidy.check(self.root, ratchet or {})
        self.assertEqual(len(errors), len(expected), errors)
        for error, fragment in zip(errors, expected):
            self.assertIn(fragment, error)

    def test_orderly_tree_passes(self):
        self.assert_errors()

    def test_function_of_70_lines_passes_and_of_71_does_not(self):
        self.write("sim/base/str.cc", "int size() {\n" + "  f();\n" * 68 + "}\n")
        self.assert_errors()
        self.write("sim/base/str.cc", "int size() {\n" + "  f();\n" * 69 + "}\n")
        self.assert_errors("sim/base/str.cc:1: size: 71 lines, at most 70")

    def test_python_functions_are_measured_too(self):
        self.write("sim/README.md", "- `str.h`\n- `ids.h`\n- `gen.py`\n")
        self.write("sim/gen.py", "class A:\n    def f(self):\n" + "        g()\n" * 70)
        self.assert_errors("sim/gen.py:2: f: 71 lines")

    def test_file_of_500_lines_passes_and_of_501_does_not(self):
        self.write("sim/base/str.cc", "int x;\n" * 500)
        self.assert_errors()
        self.write("sim/base/str.cc", "int x;\n" * 501)
        self.assert_errors("sim/base/str.cc: 501 lines, at most 500")

    def test_ratchet_holds_and_only_shrinks(self):
        self.write("sim/base/str.cc", "int x;\n" * 510)
        self.assert_errors(ratchet={"sim/base/str.cc": 510})
        self.assert_errors("510 lines, at most 505", ratchet={"sim/base/str.cc": 505})
        self.assert_errors("lower its RATCHET entry from 600", ratchet={"sim/base/str.cc": 600})
        self.write("sim/base/str.cc", "int x;\n" * 500)
        self.assert_errors("within the limits: remove it", ratchet={"sim/base/str.cc": 510})
        self.assert_errors("remove it", ratchet={"sim/base/gone.cc:f": 80})

    def test_line_of_100_columns_passes_and_of_101_does_not(self):
        self.write("sim/base/str.h", "//" + "x" * 98 + "\n")
        self.assert_errors()
        self.write("sim/base/str.h", "\n//" + "x" * 99 + "\n")
        self.assert_errors("sim/base/str.h:2: 101 columns")

    def test_white_space(self):
        self.write("sim/base/str.h", "\tint a;\nint b; \nint c;")
        self.assert_errors("str.h:1: a tab", "str.h:2: white space", "no newline at the end")

    def test_banned_file_names(self):
        self.write("sim/README.md", "- `base/`\n- `*.h`\n- `*.cc`\n")
        self.write("sim/base/string_utils.h", "")
        self.assert_errors("string_utils.h: name the file after what it holds")

    def test_banned_code_but_not_in_comments_or_strings(self):
        self.write("sim/base/str.cc", '// using namespace std\nauto t = "std::rand";\n')
        self.assert_errors()
        self.write("sim/base/str.cc", "using namespace std;\n\nstd::mt19937_64 rng;\n")
        self.assert_errors("str.cc:1: 'using namespace'", "str.cc:3: 'std::mt19937_64'")

    def test_unfinished_work_and_machine_paths_in_any_text(self):
        for text in ["TO" + "DO: later", "see /" + "work/shared/x.md", 'open("/' + 'home/me/x")']:
            with self.subTest(text=text):
                self.write("sim/base/str.h", f"// {text}\n")
                self.assert_errors("sim/base/str.h:1:")
                self.write("sim/base/str.h", "")

    def test_paths_that_only_look_like_a_machine(self):
        self.write("sim/base/str.h", "// ~/work/x, build/work/x, a homework/root\n")
        self.assert_errors()

    def test_file_that_its_folder_map_does_not_name(self):
        self.write("sim/base/rng.h", "")
        self.assert_errors("sim/README.md: does not name base/rng.h")

    def test_map_that_names_a_missing_file(self):
        self.write("sim/README.md", "`str.h` `ids.h` `base/rng.h` `base/NAME_test.cc`\n")
        self.assert_errors("sim/README.md: names base/rng.h, which does not exist")

    def test_first_column_of_a_table_needs_no_backticks(self):
        self.write("sim/README.md", "| file | what |\n|---|---|\n| str.h, `ids.h` | words |\n")
        self.assert_errors()
        self.write("sim/README.md", "| file | what |\n|---|---|\n| str.h, ids.h, no.h | a |\n")
        self.assert_errors("names no.h, which does not exist")

    def test_folder_with_its_own_map_is_left_to_it(self):
        self.write("sim/plan/README.md", "`plan.h`\n")
        self.write("sim/plan/plan.h", "")
        self.assert_errors()
        self.write("sim/plan/lower.h", "")
        self.assert_errors("sim/plan/README.md: does not name lower.h")

    def test_map_may_name_data_by_a_pattern(self):
        self.write("sim/base/a.golden", "1\n")
        self.assert_errors("does not name base/a.golden")
        self.write("sim/README.md", "`str.h` `ids.h` `*.golden`\n")
        self.assert_errors()

    def test_top_folder_needs_a_map_and_a_place_in_the_first_readme(self):
        self.write("tools/CMakeLists.txt", "")
        self.assert_errors("README.md: does not name the folder tools/", "tools: has no README.md")

    def test_build_folders_and_databases_are_not_the_project(self):
        self.write("build/dev/x_utils.h", "\t")
        self.write("runs.db", "\t")
        self.assert_errors()


if __name__ == "__main__":
    unittest.main()
