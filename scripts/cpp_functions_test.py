"""Functions are found, with their lengths, and nothing else is taken for one."""

import unittest

from cpp_functions import find_functions


def found(text):
    return [(f.name, f.line, f.length) for f in find_functions(text)]


class FindFunctionsTest(unittest.TestCase):
    def test_free_function_from_signature_to_brace(self):
        text = "// what it does\nint add(int a,\n        int b) {\n  return a + b;\n}\n"
        self.assertEqual(found(text), [("add", 2, 4)])

    def test_namespaces_and_classes_are_looked_into(self):
        text = """namespace soapbox {
class Heap : public Base<int(int)> {
 public:
  int top() const { return 1; }
  void pop();
};
namespace {
template <class T, class U = std::pair<T, T>>
T twice(T x) {
  return x + x;
}
}  // namespace
}  // namespace soapbox
"""
        self.assertEqual(found(text), [("top", 4, 1), ("twice", 8, 4)])

    def test_inner_braces_belong_to_the_function(self):
        text = """void run() {
  auto f = [&](int x) { return Foo{x}; };
  for (int i = 0; i < 3; ++i) { f(i); }
  struct Local { int value() { return 1; } };
}
int after() { return 0; }
"""
        self.assertEqual(found(text), [("run", 1, 5), ("after", 6, 1)])

    def test_constructor_with_braced_members(self):
        text = "Heap::Heap(int n) : n_{n},\n  keys_{1, 2}, size_(0) {\n  work();\n}\n"
        self.assertEqual(found(text), [("Heap::Heap", 1, 4)])

    def test_initialisers_are_no_functions(self):
        text = """constexpr std::array<Row, 2> kRows = {{
    {"a", f(1)},
    {"b", [](int x) { return x; }},
}};
int x{3};
enum class Kind { kA, kB };
std::vector<int> all = make({1, 2});
"""
        self.assertEqual(found(text), [])

    def test_braces_in_default_arguments(self):
        text = "Result<Plan> read(Text text, Options options = {}, int n = 1) {\n  return {};\n}\n"
        self.assertEqual(found(text), [("read", 1, 3)])

    def test_braces_in_comments_strings_and_macros_do_not_count(self):
        text = """#define OPEN(x) \\
  do { (x)
/* { */ const char* brace() {
  // }
  return "}{" R"({{)";
}
char c() { return '{'; }
long n() { return 1'000'000; }
"""
        self.assertEqual(found(text), [("brace", 3, 4), ("c", 7, 1), ("n", 8, 1)])

    def test_operators(self):
        text = """bool operator==(const A& a, const A& b) { return true; }
struct Less {
  bool operator()(int a, int b) const { return a < b; }
  A& operator=(A&&) noexcept { return *this; }
};
"""
        self.assertEqual([name for name, _, _ in found(text)],
                         ["operator==", "operator()", "operator="])

    def test_tests_are_named_in_full(self):
        text = "TEST(Ring, SendsTwiceTheBytes) {\n  EXPECT_TRUE(x);\n}\n"
        self.assertEqual(found(text), [("TEST(Ring, SendsTwiceTheBytes)", 1, 3)])

    def test_trailing_return_and_requires(self):
        text = """auto size(const T& t) -> decltype(t.size()) { return t.size(); }
template <class T>
  requires std::integral<T>
T half(T x) { return x / 2; }
"""
        self.assertEqual([name for name, _, _ in found(text)], ["size", "half"])


if __name__ == "__main__":
    unittest.main()
