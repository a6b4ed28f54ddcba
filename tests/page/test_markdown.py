"""What models write: Markdown, code, and what must never run."""

import json

from browser import *


class Markdown(PageTest):
    def parse(self, text):
        parsed = self.page.evaluate(
            """async (text) => {
            const {parse} = await import('/markdown.js');
            const bare = (value) => Array.isArray(value) ? value.map(bare) : value && typeof value === 'object'
                ? Object.fromEntries(Object.entries(value).filter(([name]) => name !== 'raw').map(([name, one]) => [name, bare(one)])) : value;
            return bare(parse(text));
        }""",
            text,
        )
        return parsed

    def inlines(self, text):
        (block,) = self.parse(text)
        return block["inlines"]

    def test_blocks(self):
        text = lambda *inlines: {"type": "paragraph", "inlines": list(inlines)}  # noqa: E731
        item = lambda *blocks, checked=None: {"checked": checked, "blocks": list(blocks)}  # noqa: E731
        several = lambda start, loose, *items: {
            "type": "list",
            "start": start,
            "loose": loose,
            "items": list(items),
        }  # noqa: E731
        cases = {
            "a\n\nb": [text("a"), text("b")],
            "## T ##\nx": [{"type": "heading", "level": 2, "inlines": ["T"]}, text("x")],
            "#no": [text("#no")],
            "***\n---": [{"type": "rule"}, {"type": "rule"}],
            "```c++ x\n a\n\n*b*\n```\nz": [{"type": "code", "language": "c++", "text": " a\n\n*b*"}, text("z")],
            "```\nopen": [{"type": "code", "language": "", "text": "open"}],
            "~~~\n```\n~~~": [{"type": "code", "language": "", "text": "```"}],
            "> a\n> > b": [{"type": "quote", "blocks": [text("a"), {"type": "quote", "blocks": [text("b")]}]}],
            "- a\n- b": [several(None, False, item(text("a")), item(text("b")))],
            "3. a\n4. b": [several(3, False, item(text("a")), item(text("b")))],
            "1. a\n  - b": [several(1, False, item(text("a"), several(None, False, item(text("b")))))],
            "- a\n\n  b\n- c": [several(None, True, item(text("a"), text("b")), item(text("c")))],
            "- a\n\nb": [several(None, False, item(text("a"))), text("b")],
            "- [x] a\n- [ ] b": [several(None, False, item(text("a"), checked=True), item(text("b"), checked=False))],
            "* a\n- b": [several(None, False, item(text("a"))), several(None, False, item(text("b")))],
            "- ```\n  x\n  ```": [several(None, False, item({"type": "code", "language": "", "text": "x"}))],
            "|a|b|\n|:-:|-|\n|1|\n": [
                {"type": "table", "align": ["center", None], "head": [["a"], ["b"]], "rows": [[["1"], []]]}
            ],
            "a|b\nno": [text("a|b", {"type": "break"}, "no")],
            "1986\\. x": [text("1986. x")],
        }
        for source, expected in cases.items():
            with self.subTest(source):
                self.assertEqual(self.parse(source), expected)

    def test_marks(self):
        node = lambda kind, *children: {"type": kind, "children": list(children)}  # noqa: E731
        link = lambda href, *children: {"type": "link", "href": href, "children": list(children)}  # noqa: E731
        cases = {
            "*a* _b_ **c** __d__ ***e***": [
                node("em", "a"),
                " ",
                node("em", "b"),
                " ",
                node("strong", "c"),
                " ",
                node("strong", "d"),
                " ",
                node("em", node("strong", "e")),
            ],
            "**a *b* c**": [node("strong", "a ", node("em", "b"), " c")],
            "snake_case_name 2 * 3 * 4 \\*x\\*": ["snake_case_name 2 * 3 * 4 *x*"],
            "~~a~~ ~b~": [node("del", "a"), " ~b~"],
            "`a*b*` ``c`d`` `e": [{"type": "code", "text": "a*b*"}, " ", {"type": "code", "text": "c`d"}, " `e"],
            '[a *b*](https://x.y/z_(1) "t")': [link("https://x.y/z_(1)", "a ", node("em", "b"))],
            "[a](javascript:b) [c] ![d](http://e)": [
                node("span", "a", " (javascript:b)"),
                " [c] ",
                link("http://e", "d"),
            ],
            "see https://x.y/a_b_c). <http://d>": [
                "see ",
                link("https://x.y/a_b_c", "https://x.y/a_b_c"),
                "). ",
                link("http://d", "http://d"),
            ],
            "<b>x</b> &amp;": ["<b>x</b> &amp;"],
            "**a": ["**a"],
        }
        for source, expected in cases.items():
            with self.subTest(source):
                self.assertEqual(self.inlines(source), expected)

    def test_hostile_text_takes_no_time(self):
        seconds = self.page.evaluate("""async () => {
            const {parse} = await import('/markdown.js');
            const {highlight} = await import('/highlight.js');
            const start = performance.now();
            for (const text of ['[', '`a``b', '*a _b ', '> ', '- ', '[a](', '![', '<http://', '~~', '|a', '\\\\', '#'])
                parse(text.repeat(20000 / text.length) + '\\n|-|');
            for (const language of ['c', 'python', 'js', 'sql', 'html', 'yaml', 'lua', 'diff'])
                for (const text of ['/*', '"', 'a', ' ', '`', '<', '#', '0', '-', '{'])
                    highlight(text.repeat(20000 / text.length), language);
            return (performance.now() - start) / 1000;
        }""")
        self.assertLess(seconds, 20)

    def test_code_is_coloured_and_stays_the_same(self):
        cases = {
            "python": (
                "def f(x):\n    return 'a' + str(1)  # b",
                {
                    "def": "keyword",
                    "f": "call",
                    "return": "keyword",
                    "'a'": "string",
                    "str": "call",
                    "1": "number",
                    "# b": "comment",
                },
            ),
            "cpp": (
                "#include <a>\nint x = 0x1F; // c",
                {"#include <a>": "meta", "int": "keyword", "0x1F": "number", "// c": "comment"},
            ),
            "sql": ("SELECT a FROM b -- c", {"SELECT": "keyword", "FROM": "keyword", "-- c": "comment"}),
            "json": ('{"a": [true, 1.5]}', {'"a"': "meta", "true": "keyword", "1.5": "number"}),
            "bash": ('echo "$HOME" # x', {"echo": "keyword", '"$HOME"': "string", "# x": "comment"}),
            "nothing": ("def", {}),
        }
        for language, (code, expected) in cases.items():
            with self.subTest(language):
                pieces = self.page.evaluate(
                    "async ([code, language]) => (await import('/highlight.js')).highlight(code, language)",
                    [code, language],
                )
                self.assertEqual("".join(piece["text"] for piece in pieces), code)
                self.assertEqual({piece["text"]: piece["kind"] for piece in pieces if piece["kind"]}, expected)

    def test_an_answer_is_shown(self):
        self.say("markdown please")
        self.done()
        answer = self.answers
        expect(answer.locator("h2")).to_have_text("Title")
        expect(answer.locator("strong")).to_have_text("bold")
        expect(answer.locator("del")).to_have_text("gone")
        expect(answer.locator("ol > li")).to_have_count(2)
        expect(answer.locator("ol ul li")).to_have_text("deep")
        expect(answer.locator("blockquote")).to_have_text("quoted")
        expect(answer.locator("td")).to_have_text(["a", "1"])
        link = answer.get_by_role("link", name="link")
        self.assertEqual(link.get_attribute("href"), "https://example.org/a_b")
        self.assertIn("noopener", link.get_attribute("rel"))
        expect(answer.locator(".code-keyword").first).to_have_text("def")
        answer.get_by_role("button", name="Copy").click()
        self.assertEqual(
            self.page.evaluate("navigator.clipboard.readText()"), 'def f(x):\n    return "x" + str(41 + 1)  # sum'
        )
        self.picture("markdown")

    def test_thoughts_are_folded(self):
        self.say("think first")
        self.done()
        expect(self.answers.locator("> .blocks")).to_have_text("I have thought.")
        expect(self.answers.locator("details em")).to_be_hidden()
        self.answers.locator("summary").click()
        expect(self.answers.locator("details em")).to_have_text("see")

    def test_what_a_model_writes_never_runs(self):
        self.say("evil <img src=x onerror=window.hacked=5>")
        self.done()
        self.button("Show answers as tokens").click()
        self.page.locator(".token").nth(3).click()
        self.button("Show answers as tokens").click()
        self.page.reload()
        expect(self.answers).to_contain_text('<img src=x onerror="window.hacked=1">')
        expect(
            self.page.locator("#thread img, #thread script, #thread a[href^=javascript], #thread iframe")
        ).to_have_count(0)
        expect(self.page.locator(".message.user .said")).to_have_text("evil <img src=x onerror=window.hacked=5>")
        self.assertIsNone(self.page.evaluate("window.hacked ?? null"))
        # And the policy would stop what were to come through.
        self.page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.hacked=6\">')")
        self.page.wait_for_timeout(300)
        self.assertIsNone(self.page.evaluate("window.hacked ?? null"))
        self.assertTrue(
            any("Content Security Policy" in problem for problem in self.problems), json.dumps(self.problems)
        )
        self.problems.clear()
