"""The layer check finds planted violations and nothing else."""

import tempfile
import unittest
from pathlib import Path

import check_layers


class CheckLayersTest(unittest.TestCase):
    def setUp(self):
        self._folder = tempfile.TemporaryDirectory()
        self.root = Path(self._folder.name)
        self.addCleanup(self._folder.cleanup)

    def write(self, path, text):
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text, encoding="utf-8")

    def assert_one_error(self, *fragments):
        errors = check_layers.check(self.root)
        self.assertEqual(len(errors), 1, errors)
        for fragment in fragments:
            self.assertIn(fragment, errors[0])

    def test_downward_and_own_includes_pass(self):
        self.write("sim/base/ids.h", "#include <vector>\n")
        self.write("sim/engine/engine.h", '#include "sim/base/ids.h"\n')
        self.write("sim/engine/engine.cc", '#include "sim/engine/engine.h"\n#include <queue>\n')
        self.write("scenarios/runner/main.cc", '#include "sim/engine/engine.h"\n')
        self.assertEqual(check_layers.check(self.root), [])

    def test_upward_include_is_found_with_its_line(self):
        self.write("strategies/searcher.h", "")
        self.write("sim/engine/engine.cc", '#include <queue>\n#include "strategies/searcher.h"\n')
        self.assert_one_error("sim/engine/engine.cc:2:", "sim/engine must not include",
                              "it may include sim/base")

    def test_sideways_include_is_found(self):
        self.write("sim/model/op.h", "")
        self.write("sim/engine/engine.h", '  #  include "sim/model/op.h"\n')
        self.assert_one_error("sim/engine/engine.h:1:")

    def test_results_sees_only_the_base(self):
        self.write("sim/plan/plan.h", "")
        self.write("results/store.cc", '#include "sim/plan/plan.h"\n')
        self.assert_one_error("results must not include", "sim/base")

    def test_include_that_is_commented_out_is_none(self):
        self.write("sim/base/ids.h", '// #include "strategies/searcher.h"\n')
        self.assertEqual(check_layers.check(self.root), [])

    def test_include_that_is_not_from_the_root_is_found(self):
        self.write("sim/base/ids.h", "")
        self.write("sim/base/str.h", '#include "ids.h"\n')
        self.assert_one_error("write the path from the root")

    def test_new_folder_needs_a_row(self):
        self.write("sim/base/ids.h", "")
        self.write("sim/energy/energy.h", '#include "sim/base/ids.h"\n')
        self.assert_one_error("no row in the table")

    def test_own_header_comes_first(self):
        self.write("sim/base/str.h", "")
        self.write("sim/base/str.cc", '#include <string>\n#include "sim/base/str.h"\n')
        self.assert_one_error("sim/base/str.cc", "must be the first include")

    def test_libraries_stay_where_they_belong(self):
        for path, header in [
            ("sim/model/graph.h", "boost/graph/adjacency_list.hpp"),
            ("sim/model/graph.cc", "boost/program_options.hpp"),
            ("strategies/mcmc.cc", "sqlite3.h"),
            ("sim/base/str.cc", "gtest/gtest.h"),
            ("sim/cost/cost.cc", "cuda_runtime.h"),
        ]:
            with self.subTest(path=path, header=header):
                self.write(path, f"#include <{header}>\n")
                self.assert_one_error(path, header)
                (self.root / path).unlink()

    def test_libraries_pass_where_they_belong(self):
        self.write("sim/model/graph.cc", "#include <boost/graph/adjacency_list.hpp>\n")
        self.write("results/store.cc", "#include <sqlite3.h>\n")
        self.write("sim/base/str_test.cc", "#include <gtest/gtest.h>\n")
        self.assertEqual(check_layers.check(self.root), [])


class TableTest(unittest.TestCase):
    def test_the_table_is_acyclic(self):
        self.assertEqual(check_layers.check_table(check_layers.ALLOW), [])

    def test_a_cycle_is_found(self):
        errors = check_layers.check_table({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": set()})
        self.assertEqual(errors, ["a cycle among a, b, c"])

    def test_an_unknown_folder_is_found(self):
        errors = check_layers.check_table({"a": {"b"}})
        self.assertEqual(errors, ["a may include b, which has no row"])

    def test_nothing_in_the_simulator_sees_what_stands_on_it(self):
        for folder, row in check_layers.ALLOW.items():
            if folder.startswith("sim/"):
                self.assertTrue(all(below.startswith("sim/") for below in row), folder)


if __name__ == "__main__":
    unittest.main()
