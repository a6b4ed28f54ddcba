// Jinja templates: results as Python's jinja2 gives them (tests/parity/templates_parity.py compares live), and bounds.
#include "qkv/text/template/template.h"

#include "qkv/core/error.h"

namespace qkv {
namespace {

std::string rendered(const std::string& source, const char* variables = "{}") {
  return jinja::Template(source).render(nlohmann::ordered_json::parse(variables), 1700000000);
}

TEST(Template, TagsTakeTheirLinesAway) {
  EXPECT_EQ(rendered("a\n  {% if true %}\n  b\n  {% endif %}\nc\n"), "a\n  b\nc");
  EXPECT_EQ(rendered("a  {%- if true -%}  b  {%- endif %}\n c"), "ab c");
  EXPECT_EQ(rendered("{# nothing #}\nx {# here #} y"), "x  y");
  EXPECT_EQ(rendered("  {%+ if true +%}\n{% endif %}x"), "  \nx");
  EXPECT_EQ(rendered("{{- 'a' }}\n{{ 'b' -}}\n c"), "a\nbc");
  EXPECT_EQ(rendered("{% raw %}{{ x }}{% endraw %}"), "{{ x }}");
}

TEST(Template, ValuesPrintAsPythonPrintsThem) {
  EXPECT_EQ(rendered("{{ [1, 'a', none, true, 2.0, {'k': \"it's\"}] }}"), "[1, 'a', None, True, 2.0, {'k': \"it's\"}]");
  EXPECT_EQ(rendered("{{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 / 2 }} {{ 2 ** 10 }} {{ 1e20 }} {{ 0.1 + 0.2 }}"),
            "3 -4 2 3.5 1024 1e+20 0.30000000000000004");
  EXPECT_EQ(rendered("{{ x }}|{{ none }}|{{ (1,) }}"), "|None|(1,)");
}

TEST(Template, LoopsBranchesAndNamespaces) {
  EXPECT_EQ(rendered("{% for m in messages if m.role != 'system' %}{{ loop.index0 }}{{ m['content'] | trim }}"
                     "{% if not loop.last %},{% endif %}{% else %}none{% endfor %}",
                     R"({"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": " hi "},
                         {"role": "assistant", "content": "yo"}]})"),
            "0hi,1yo");
  EXPECT_EQ(rendered("{% set ns = namespace(n=0) %}{% for i in range(5) %}{% if i == 1 %}{% continue %}{% endif %}"
                     "{% if i == 4 %}{% break %}{% endif %}{% set ns.n = ns.n + i %}{% set x = i %}{% endfor %}"
                     "{{ ns.n }}{{ x is defined }}"),
            "5False");
  EXPECT_EQ(rendered("{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}", R"({"d": {"b": 1, "a": 2}})"),
            "b=1;a=2;");
}

TEST(Template, MacrosFiltersAndTests) {
  EXPECT_EQ(rendered("{% macro m(a, b='x') %}<{{ a }}{{ b }}>{% endmacro %}{{ m(1) }}{{ m(2, b=3) }}"), "<1x><23>");
  EXPECT_EQ(rendered("{{ {'b': [1, 'é\\n'], 'a': none} | tojson }}"), "{\"b\": [1, \"é\\n\"], \"a\": null}");
  EXPECT_EQ(rendered("{{ {'a': [1]} | tojson(indent=2) }}"), "{\n  \"a\": [\n    1\n  ]\n}");
  EXPECT_EQ(rendered("{{ l | selectattr('r', 'equalto', 'u') | map(attribute='c') | join(', ') }}",
                     R"({"l": [{"r": "u", "c": "1"}, {"r": "a", "c": "2"}, {"r": "u", "c": "3"}]})"),
            "1, 3");
  EXPECT_EQ(rendered("{{ 'a' is string and 3 is not none and x is not defined }}"), "True");
  EXPECT_EQ(rendered("{{ 'abc'[::-1] }}{{ 'héllo'[1:3] }}{{ [1, 2, 3][-1] }}"), "cbaél3");
  EXPECT_EQ(rendered("{% set t %}a{% endset %}{{ t ~ 1 }}"), "a1");
  EXPECT_EQ(rendered("{{ strftime_now('%Y') }}"), "2023");
}

TEST(Template, ErrorsNameTheLine) {
  const auto fails = [](const std::string& source, const std::string& part) {
    try {
      const std::string text = rendered(source);
      ADD_FAILURE() << source << " gave " << text;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
    }
  };
  fails("a\n{% if %}", "line 2");
  fails("\n\n{{ x.y }}", "line 3: 'x' is undefined");
  fails("{{ raise_exception('roles must alternate') }}", "roles must alternate");
  fails("{{ 'a' | uper }}", "write upper");
  fails("{% include 'x' %}", "refused");
  fails("{{ [].append(1) }}", "refused");
  fails("{{ (1, 2) < [1, 3] }}", "have no order");
  fails("{{ 1 / 0 }}", "zero");
  fails("{% for x in [1] %}", "endfor");
  fails("{{ 'a' + 1 }}", "does not work");
  fails("{{ 9223372036854775807 + 1 }}", "too large");
}

TEST(Template, HostileTemplatesEnd) {
  const auto refused = [](const std::string& source) { EXPECT_THROW(rendered(source), Error) << source.substr(0, 80); };
  refused("{% for a in range(100000) %}{% for b in range(100000) %}{{ b }}{% endfor %}{% endfor %}");
  refused("{{ 'x' * 100000000 }}");
  refused(
      "{% set ns = namespace(s='xxxxxxxxxxxxxxxx') %}{% for i in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}");
  refused("{% set ns = namespace(l=[]) %}{% for i in range(99999) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l }}");
  refused("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}");
  refused(std::string(100000, '(').insert(0, "{{ "));
  std::string deep;
  for (int i = 0; i < 10000; ++i) deep += "{% if x %}";
  refused(deep);
  refused("{{ " + std::string(100000, '-') + "1 }}");
  refused("{{ \xFF }}");
  refused("{{ ''.__class__.__mro__ }}");
  EXPECT_EQ(rendered("{% set ns = namespace() %}{% set ns.me = ns %}{{ ns == ns }}"), "True");
}

}  // namespace
}  // namespace qkv
