"""qkv chat, as lines on standard input."""
import unittest

from command import *
from word_model import word_model

TEMPLATE = "{% for m in messages %}{{ {'system': 'w3', 'user': 'w1', 'assistant': 'w2'}[m.role] }} {{ m.content }} {% endfor %}w2"


class Chat(CommandTest):
    def model(self, template=TEMPLATE):
        folder = word_model(self.folder / "chat")
        (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": template} if template else {}))
        return folder

    def talk(self, lines, *arguments):
        return self.succeed("chat", self.model(), "--temperature", "0", "--max-new-tokens", "4", *arguments, stdin=lines.encode())

    def test_answers_are_the_models(self):
        alone = self.succeed("generate", self.model(), "--prompt", "w1 w7 w8 w2", "--greedy", "--max-new-tokens", "4", "-q", "--json")
        self.assertEqual(self.talk("w7 w8\n").strip(), json.loads(alone)["text"].strip())

    def test_the_end_of_a_turn_ends_an_answer(self):
        first, second = self.talk("w7 w8\n").split()[:2]
        self.assertNotEqual(first, second)
        folder = self.model()
        tokenizer = json.loads((folder / "tokenizer.json").read_text())
        vocabulary = tokenizer["model"]["vocab"]
        end = vocabulary.pop(second)
        vocabulary["<end_of_turn>"] = end
        for special in (True, False):
            tokenizer["added_tokens"] = [{"id": end, "content": "<end_of_turn>", "special": special}]
            (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
            said = self.succeed("chat", folder, "--temperature", "0", "--max-new-tokens", "4", stdin=b"w7 w8\n")
            self.assertEqual(said.split(), [first])

    def test_guesses_change_no_answer(self):
        self.assertEqual(self.talk("w7 w8\nw9\n"), self.talk("w7 w8\nw9\n", "--drafts", "3"))

    def test_words_are_chosen_as_the_checkpoint_says_unless_told(self):
        def talk(*arguments):
            folder = self.model()
            (folder / "generation_config.json").write_text('{"temperature": 90.0, "top_k": 1}')
            return self.succeed("chat", folder, "--max-new-tokens", "4", "--seed", "3", *arguments, stdin=b"w7 w8\n")

        self.assertEqual(talk(), talk("--temperature", "0"))
        self.assertNotEqual(talk("--top-k", "0"), talk())
        (self.model() / "generation_config.json").write_text('{"top_p": 7}')
        self.refuse("chat", self.model(), says=["generation_config.json", "top_p"])

    def test_a_turn_reads_what_was_said_before(self):
        first, second = self.talk("w7 w8\nw9\n").splitlines()
        alone = self.succeed("generate", self.model(), "--prompt", f"w1 w7 w8 w2 {first} w1 w9 w2", "--greedy",
                             "--max-new-tokens", "4", "-q", "--json")
        self.assertEqual(second.strip(), json.loads(alone)["text"].strip())

    def test_an_answer_in_a_grammar(self):
        rules = self.folder / "rules.gbnf"
        rules.write_text('root ::= " "? ("w3" | "w4") (" w5")*\n')
        for line in self.talk("w7 w8\nw9\n", "--grammar", rules, "--cache", "bf16").splitlines():
            self.assertRegex(line.strip(), r"^w[34]( w5)*$")

    def test_commands(self):
        path = self.folder / "saved.json"
        out = self.talk(f"/system w5\nw7\\\nw8\nw9\n/undo\n/regenerate\n/save {path}\n/quit\nw1\n").splitlines()
        self.assertEqual(len(out), 3)
        self.assertEqual(out[0], out[2])
        saved = json.loads(path.read_text())["messages"]
        self.assertEqual([m["role"] for m in saved], ["system", "user", "assistant"])
        self.assertEqual(saved[1]["content"], "w7\nw8")
        history = self.talk("/history\n", "--load", path)
        self.assertIn("[system] w5", history)
        block = self.talk('"""\nw7\nw8\n"""\n/history\n')
        self.assertIn("[user] w7\nw8\n", block)
        self.assertEqual(self.talk("/set top_k 1\n/set temperature 0.5\nw7\n"), self.talk("w7\n"))

    def test_refusals(self):
        model = self.model()
        for line, says in (("/undo\n", "take back"), ("/regenrate\n", "write /regenerate"), ("/set x 1\n", "cannot be set"),
                           ("/set temperature hot\n", "a number"), ("/load /nothing\n", "/nothing"), ("w7 " * 200, "the context has 64")):
            self.refuse("chat", model, "--context", "64", stdin=line.encode(), says=[says])
        self.refuse("chat", self.model(template=""), says=["no chat template", "--template"])
        template = self.write("own.jinja", TEMPLATE)
        self.succeed("chat", self.model(template=""), "--template", template, "--max-new-tokens", "2", stdin=b"w7\n")
        self.refuse("chat", self.model("{{ raise_exception('never') }}"), stdin=b"w7\n", says=["never"])

    def test_a_full_context_slides_when_told(self):
        lines = "".join(f"w{i} w{i + 1} w{i + 2}\n" for i in range(5, 12))
        limits = ("--context", "32", "--max-new-tokens", "8")
        self.refuse("chat", self.model(), *limits, stdin=lines.encode(), says=["the context has 32"])
        self.assertEqual(len(self.talk(lines, *limits, "--overflow", "slide").splitlines()), 7)

    def test_a_full_context_is_summed_up_when_told(self):
        lines = "".join(f"w{i} w{i + 1} w{i + 2}\n" for i in range(5, 25))
        limits = ("--context", "64", "--max-new-tokens", "8")
        self.refuse("chat", self.model(), *limits, stdin=lines.encode(), says=["the context has 64"])
        out = self.talk(lines + "/history\n", *limits, "--overflow", "summarise").splitlines()
        answers, history = out[:20], out[20:]
        # Until the context is full it is as without; nothing is missing from the history.
        early = "".join(lines.splitlines(True)[:4])
        self.assertEqual(answers[:4], self.talk(early, *limits).splitlines())
        self.assertEqual([line for line in history if line.startswith("[user]")],
                         [f"[user] {line}" for line in lines.splitlines()])
        self.assertEqual([line.removeprefix("[assistant] ") for line in history if line.startswith("[assistant]")], answers)


if __name__ == "__main__":
    unittest.main()
