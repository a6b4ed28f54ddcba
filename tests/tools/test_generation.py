"""How qkv generate and the verbs that rewrite texts choose their words."""
import re

from command import *
from word_model import word_model


class Generation(CommandTest):
    def setUp(self):
        super().setUp()
        self.model = self.train()

    def write_text(self, *arguments):
        lines = self.succeed("generate", self.model, "-p", "word", "-n", "6", "--json", "-q", *arguments).splitlines()
        return [json.loads(line) for line in lines]

    def test_groups_of_beams_differ(self):
        found = self.write_text("--beams", "4", "--beam-groups", "4", "--diversity-penalty", "100", "--return-sequences", "4")
        self.assertEqual(len({line["ids"][0] for line in found}), 4)
        scores = [line["score"] for line in found]
        self.assertEqual(scores, sorted(scores, reverse=True))

    def test_contrastive_search_depends_on_no_seed(self):
        a = self.write_text("--penalty-alpha", "0.6", "--seed", "1")
        self.assertEqual(a, self.write_text("--penalty-alpha", "0.6", "--top-k", "4", "--seed", "2"))
        self.assertEqual(len(a[0]["ids"]), 6)

    def test_bad_words_and_forced_tokens(self):
        free = self.write_text("--greedy")[0]["text"]
        self.assertIn(free[0], free)
        without = self.write_text("--greedy", "--bad-word", free[0])[0]["text"]
        self.assertNotIn(free[0], without)
        forced = self.write_text("--greedy", "--forced-first", "Z", "--forced-last", "Q")[0]["text"]
        self.assertEqual((forced[0], forced[5]), ("Z", "Q"))

    def test_only_these_texts(self):
        self.assertIn(self.write_text("--greedy", "--only", "yes", "--only", "no")[0]["text"], ("yes", "no"))
        texts = self.write("texts.txt", "one\n\ntwo\nthree\n")
        found = self.write_text("--beams", "5", "--return-sequences", "5", "--only-file", texts)
        self.assertEqual(sorted(line["text"] for line in found), ["one", "three", "two"])

    def test_a_grammar(self):
        rules = self.write("list.gbnf", 'root ::= "(" root ")" | [0-9]{2} # nested\n')
        for seed in range(6):
            text = self.write_text("--grammar", rules, "--temperature", "3", "--seed", str(seed), "-n", "40")[0]["text"]
            inside = text.strip("()")
            self.assertTrue(text == "(" * text.count("(") + inside + ")" * text.count(")"), text)
            self.assertTrue(all(c in "0123456789" for c in inside), text)
        self.assertRegex(self.write_text("--grammar", rules, "--beams", "3")[0]["text"], r"^\(*\d{0,2}\)*$")
        def refuse(rules, says, *more):
            self.refuse("generate", self.model, "-p", "word", "--grammar", self.write("bad.gbnf", rules), *more, says=says)
        refuse('root ::= root "a"', ["grammar", "'root'", "begin with itself"])
        refuse('root ::= "a" other', ["grammar", "'other'", "line 1"])
        refuse("", "empty")
        refuse('root ::= "a"', ["--grammar", "--only"], "--only", "yes")
        self.refuse("generate", self.model, "-p", "word", "--grammar", self.folder / "none.gbnf", says="none.gbnf")

    def test_guesses_change_nothing(self):
        at = TINY.index("--context") + 1
        self.model = self.folder / "long"
        self.succeed("train", self.text, "--out", self.model, *TINY[:at], "128", *TINY[at + 1:], "--steps", 4)
        for how in (["--greedy"], ["--seed", "3", "--temperature", "2", "--return-sequences", "2"]):
            plain = self.write_text("-n", "40", *how)
            for drafts in (["--drafts", "5"], ["--draft", self.model]):
                guessed = self.write_text("-n", "40", *how, *drafts)
                for one, other in zip(plain, guessed, strict=True):
                    self.assertEqual((one["ids"], one["text"], one["finish"]), (other["ids"], other["text"], other["finish"]))
                    for a, b in zip(one["log_probabilities"], other["log_probabilities"], strict=True):
                        self.assertAlmostEqual(a, b, places=3)
        # Texts that are written together have as many tokens, and an end is not written, special or not.
        folder = word_model(self.folder / "words")
        written = json.loads(self.succeed("generate", folder, "-p", "w5 w6", "-n", "8", "--greedy", "--json", "-q"))["ids"]
        (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": written[4]}))
        for more in ([], ["-p", "w9 w8 w7 w6", "-n", "1000"]):
            plain, guessed = (self.succeed("generate", folder, "-p", "w5 w6", "-n", "8", "--greedy", "--json", "-q", *more, *how)
                              for how in ([], ["--drafts", "3"]))
            self.assertEqual([json.loads(line)["text"] for line in plain.splitlines()],
                             [json.loads(line)["text"] for line in guessed.splitlines()])
        told = self.run_qkv("generate", self.model, "-p", "word", "-n", "60", "--greedy", "--draft", self.model).stderr.decode()
        guessed, right = map(int, re.search(r"of (\d+) tokens guessed (\d+) were right", told).groups())
        self.assertGreater(guessed, 20)
        self.assertEqual(guessed, right)

    def test_a_full_context_slides(self):
        sliding = self.write_text("--greedy", "--overflow", "slide", "--context", "16", "-n", "100")[0]
        self.assertEqual((len(sliding["ids"]), sliding["finish"]), (100, "length"))
        self.assertEqual(sliding["ids"][:12], self.write_text("--greedy", "-n", "12")[0]["ids"])
        self.refuse("generate", self.model, "-p", "word", "--context", "16", says=["--context", "--overflow slide"])
        self.refuse("generate", self.model, "-p", "word", "--overflow", "slide", "--context", "100000", says="context")
        self.refuse("generate", self.model, "-p", "word", "--overflow", "slide", "--beams", "2", says=["--overflow", "search"])
        self.refuse("generate", self.model, "-p", "word", "--draft", self.folder / "none", says="none")

    def test_what_makes_no_sense_is_refused(self):
        def refuse(*arguments, says):
            self.refuse("generate", self.model, "-p", "word", *arguments, says=says)
        refuse("--beams", "4", "--beam-groups", "3", "--diversity-penalty", "1", says=["beam-groups", "3 equal groups"])
        refuse("--beams", "4", "--beam-groups", "2", says="diversity-penalty")
        refuse("--penalty-alpha", "2", says="penalty-alpha")
        refuse("--penalty-alpha", "0.6", "--beams", "2", says="penalty-alpha")
        refuse("--penalty-alpha", "0.6", "--top-k", "1", says="top-k")
        refuse("--forced-first", "nothing like it", says=["--forced-first", "qkv tokenize"])
        refuse("--only-file", self.folder / "none.txt", says="none.txt")
        refuse("--only-file", self.write("empty.txt", "\n"), says=["empty.txt", "no lines"])
        refuse("--only", "yes", "--ignore-end", says="--only")


if __name__ == "__main__":
    unittest.main()
