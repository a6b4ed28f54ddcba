"""qkv chat on a terminal: keys that edit, stop an answer and end the conversation."""
from command import *
from terminal import BACKSPACE, CTRL_C, CTRL_D, CTRL_U, Terminal
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

    def chat(self, *arguments):
        terminal = Terminal(self, QKV, "chat", self.model, "--temperature", "0", *arguments)
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
        terminal = self.chat(*length)
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

    def test_a_mistake_is_told_and_the_conversation_goes_on(self):
        terminal = self.chat("--max-new-tokens", "4")
        terminal.press("/regenrate\n")
        self.assertIn("write /regenerate", terminal.wait_for(PROMPT))
        self.assertTrue(self.answer_to(terminal, "w7"))
        terminal.press(CTRL_D)
        self.assertEqual(terminal.end(), 0)


if __name__ == "__main__":
    unittest.main()
