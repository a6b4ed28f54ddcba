"""qkv chat on a terminal: keys that edit, stop an answer and end the conversation."""
from command import *
from terminal import *
from test_chat import TEMPLATE
from word_model import word_model

PROMPT = r"(?:^|\n)> $"


class ChatOnATerminal(CommandTest):
    def setUp(self):
        super().setUp()
        self.model = word_model(self.folder / "chat")
        (self.model / "tokenizer_config.json").write_text(json.dumps({"chat_template": TEMPLATE}))
        # Nothing ends an answer but its length.
        config = json.loads((self.model / "config.json").read_text())
        (self.model / "config.json").write_text(json.dumps(config | {"eos_token_id": None}))

    def chat(self, *arguments, **environment):
        terminal = Terminal(self, QKV, "chat", self.model, "--temperature", "0", *arguments, **environment)
        self.assertIn("Ctrl-D ends", terminal.wait_for(PROMPT))
        return terminal

    def answers(self, lines, *arguments):
        out = self.succeed("chat", self.model, "--temperature", "0", *arguments, stdin=lines.encode())
        return out.splitlines()

    def answer_to(self, terminal, keys):
        """What is said to a line of keys, between its echo and the count."""
        terminal.press(keys + "\n")
        self.assertTrue(terminal.wait_for(r"\n"))
        return terminal.wait_for(r"\n\[\d+ tokens[^]]*\]\n> $").split("\n[")[0]

    def test_answers_are_those_without_a_terminal(self):
        length = ("--max-new-tokens", "4")
        first, second = self.answers("w7 w8\nw9\n", *length)
        for kind in ("xterm", "dumb"):
            with self.subTest(kind):
                terminal = self.chat(*length, TERM=kind)
                # Mistyped and mended: a key, then a line.
                self.assertEqual(self.answer_to(terminal, "w7 w99" + 2 * BACKSPACE + "8"), first)
                self.assertEqual(self.answer_to(terminal, "/undo" + CTRL_U + "w9"), second)
                terminal.press(CTRL_D)
                self.assertEqual(terminal.end(), 0)

    def test_ctrl_c_stops_an_answer_and_keeps_the_conversation(self):
        terminal = self.chat("--max-new-tokens", "1000000000", "--overflow", "slide")
        terminal.press("w7 w8\n")
        terminal.wait_for(r"w8\n")
        started = terminal.wait_for(r"(?:w\d+ ?){20}")
        terminal.press(CTRL_C)
        terminal.wait_for(r"stopped\]\n> $")
        terminal.press("/history\n")
        history = terminal.wait_for(r"> $")
        self.assertIn("[user] w7 w8\n", history)
        # A terminal forgets what it has not yet shown when Ctrl-C comes.
        self.assertIn(f"[assistant] {started}", history)
        self.assertEqual(history.count("[assistant]"), 1)
        # It goes on, and what was said counts.
        terminal.press("/set max_new_tokens 3\n")
        terminal.wait_for(PROMPT)
        self.assertEqual(len(self.answer_to(terminal, "w9").split()), 3)
        terminal.press("/quit\n")
        self.assertEqual(terminal.end(), 0)

    def test_ctrl_c_before_a_question_takes_the_line_away(self):
        length = ("--max-new-tokens", "4")
        terminal = self.chat(*length)
        for _ in range(3):
            terminal.press("w50 w51" + CTRL_C)
            terminal.wait_for(PROMPT)
        self.assertEqual([self.answer_to(terminal, "w7 w8")], self.answers("w7 w8\n", *length))
        terminal.press(CTRL_D)
        self.assertEqual(terminal.end(), 0)

    def test_many_lines(self):
        length = ("--max-new-tokens", "4")
        expected = self.answers('"""\nw7\nw8\n"""\nw9\\\nw10\n', *length)
        terminal = self.chat(*length)
        for line in ['"""', "w7", "w8"]:
            terminal.press(line + "\n")
            terminal.wait_for(r"\n\. $")
        first = self.answer_to(terminal, '"""')
        terminal.press("w9\\\n")
        terminal.wait_for(r"\n\. $")
        self.assertEqual([first, self.answer_to(terminal, "w10")], expected)
        terminal.press(CTRL_D)
        self.assertEqual(terminal.end(), 0)

    def typed(self, terminal, keys):
        """The line that the keys make."""
        terminal.press("/system " + keys + "\n")
        terminal.wait_for(PROMPT)
        terminal.press("/history\n")
        terminal.wait_for(r"/history\n")
        return terminal.wait_for(PROMPT).removeprefix("[system] ").removesuffix("\n> ")

    def test_keys_that_edit(self):
        terminal = self.chat()
        for keys, line in [("bd" + LEFT + "c" + LEFT + LEFT + "a" + RIGHT + RIGHT + RIGHT + "e", "abcde"),
                           ("one two" + HOME + DELETE * 8 + "/system " + END + "!", "one two!"),
                           ("one two" + CTRL_A + RIGHT * 8 + "no " + CTRL_E + "!", "no one two!"),
                           ("one two" + LEFT * 4 + CTRL_K, "one"),
                           ("one two" + CTRL_W + "three", "one three"),
                           ("one" + CTRL_U + "/system two", "two"),
                           ("gr\u00f6\u00dfer \u65e5\u672c\u8a9e \U0001f642" + LEFT * 2 + BACKSPACE + "\u6587" + HOME + RIGHT * 10 + DELETE,
                            "gr\u00dfer \u65e5\u672c\u6587 \U0001f642")]:
            with self.subTest(line):
                self.assertEqual(self.typed(terminal, keys), line)
        terminal.press(CTRL_D)
        self.assertEqual(terminal.end(), 0)

    def test_earlier_lines_come_back(self):
        length = ("--max-new-tokens", "4")
        expected = self.answers("w7 w8\nw9\nw9\nw7 w8 w5\nw9\n", *length)
        terminal = self.chat(*length)
        got = [self.answer_to(terminal, keys)
               for keys in ("w7 w8", "w9", UP, UP + UP + " w5", "w1" + UP + UP + UP + DOWN + DOWN + CTRL_U + "w9")]
        self.assertEqual(got, expected)
        terminal.press(CTRL_D)
        self.assertEqual(terminal.end(), 0)

    def test_lines_are_kept_between_runs(self):
        path = self.folder / "data" / "qkv" / "chat_history"
        wide = "\u65e5\u672c\u8a9e \u00f6 \U0001f642"
        terminal = self.chat()
        self.assertEqual(self.typed(terminal, wide), wide)
        terminal.press(CTRL_D)
        self.assertEqual(terminal.end(), 0)
        self.assertEqual(path.read_text(), f"/system {wide}\n/history\n")
        self.assertEqual((path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777), (0o600, 0o700))
        terminal = self.chat()
        terminal.press(UP + UP + "!\n")
        terminal.wait_for(PROMPT)
        terminal.press("/history\n")
        self.assertIn(f"[system] {wide}!\n", terminal.wait_for(PROMPT))
        terminal.press(CTRL_R + "\u672c\n")
        terminal.wait_for(PROMPT)
        terminal.press(CTRL_D)
        self.assertEqual(terminal.end(), 0)
        self.assertEqual(path.read_text().splitlines()[2:], [f"/system {wide}!", "/history", f"/system {wide}!"])

    def test_how_many_lines_are_kept_and_where(self):
        path = self.folder / "lines"
        path.write_bytes(b"".join(b"/system line%d\n" % i for i in range(2500)) + b"/system caf\xe9\n")
        path.chmod(0o600)
        terminal = self.chat("--history", path)
        terminal.press(UP + "!\n")
        terminal.wait_for(PROMPT)
        terminal.press(CTRL_D)
        self.assertEqual(terminal.end(), 0)
        lines = path.read_text().splitlines()
        self.assertEqual((len(lines), lines[0]), (1001, "/system line1501"))
        self.assertEqual(lines[-2:], ["/system caf\ufffd", "/system caf\ufffd!"])
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)
        terminal = self.chat("--history", "none")
        terminal.press("/system w5\n")
        terminal.wait_for(PROMPT)
        terminal.press(CTRL_D)
        self.assertEqual(terminal.end(), 0)
        self.assertFalse((self.folder / "data").exists())
        terminal = self.chat("--history", self.folder / "lines" / "below")
        terminal.press("/system w5\n")
        self.assertIn("not kept", terminal.wait_for(PROMPT))
        terminal.press(CTRL_D)
        self.assertEqual(terminal.end(), 0)

    def test_the_terminal_changes_and_is_given_back(self):
        terminal = self.chat()
        self.assertFalse(terminal.waits_for_lines())
        terminal.press("/system one")
        terminal.wait_for("one")
        for columns in (20, 9, 80):
            terminal.resize(24, columns)
        os.kill(terminal.process, signal.SIGTSTP)  # nobody is there who could continue it, so that it goes on
        self.assertIn("two", self.typed(terminal, LEFT + "two"))
        os.kill(terminal.process, signal.SIGTERM)
        self.assertEqual(terminal.end(), -signal.SIGTERM)
        self.assertTrue(terminal.waits_for_lines())

    def test_a_mistake_is_told_and_the_conversation_goes_on(self):
        terminal = self.chat("--max-new-tokens", "4")
        terminal.press("/regenrate\n")
        self.assertIn("write /regenerate", terminal.wait_for(PROMPT))
        self.assertTrue(self.answer_to(terminal, "w7"))
        terminal.press(CTRL_D)
        self.assertEqual(terminal.end(), 0)


    def test_the_end_may_be_said_while_it_writes(self):
        terminal = self.chat("--max-new-tokens", "40")
        terminal.press("w7\n")
        terminal.wait_for(r"\n")
        terminal.press(CTRL_D)
        self.assertEqual(terminal.end(), 0)


if __name__ == "__main__":
    unittest.main()
