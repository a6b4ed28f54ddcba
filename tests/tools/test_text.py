"""Texts that cannot be learnt from, and prompts that cannot be continued."""
from command import *


class TrainingText(CommandTest):
    def refuse_text(self, content, *arguments, says=(), name="bad.txt"):
        path = self.write(name, content)
        message = self.refuse("train", path, "--out", self.folder / "run", *TINY, *arguments, says=says)
        self.assertFalse((self.folder / "run" / "model.safetensors").exists())
        return message

    def test_empty(self):
        self.refuse_text("", says=["bad.txt", "empty"])
        self.assertFalse((self.folder / "run").exists())

    def test_only_a_byte_order_mark(self):
        self.refuse_text(b"\xef\xbb\xbf", says="bad.txt")

    def test_binary(self):
        self.refuse_text(bytes(range(256)) * 20, says=["bad.txt", "binary"])
        self.refuse_text(b"\x7fELF" + b"\0" * 1000, says="binary")

    def test_not_utf8(self):
        self.refuse_text(b"fine\nfine\n" + "ü".encode("latin-1") * 3 + b"\n" + b"more " * 50, says=["bad.txt", "UTF-8"])
        self.refuse_text("text in another encoding".encode("utf-16"), says="bad.txt")

    def test_shorter_than_the_context(self):
        self.refuse_text("too short", says=["16", "tokens"])
        # What was begun there does not stand in the way.
        self.succeed("train", self.text, "--out", self.folder / "run", *TINY, "--steps", "2")

    def test_the_part_for_validation_is_shorter_than_the_context(self):
        self.refuse_text("a" * 60, says=["validation", "context"])

    def test_missing_suggests_the_nearest(self):
        self.write("book.txt", "words")
        self.refuse("train", self.folder / "bok.txt", "--out", self.folder / "run", says=["bok.txt", "book.txt"])
        self.refuse("train", self.folder / "*.csv", "--out", self.folder / "run", says="*.csv")
        self.assertFalse((self.folder / "run").exists())

    def test_a_folder_without_text(self):
        (self.folder / "empty").mkdir()
        self.refuse("train", self.folder / "empty", "--out", self.folder / "run", says="empty")

    def test_json_lines(self):
        for lines, says in [('{"text": "a"}\n{"text": \n', ":2"), ('{"txt": "a"}\n', "text"), ("[1]\n", ":1"),
                            ('{"text": 3}\n', "text"), ("[" * 100000, ":1")]:
            with self.subTest(lines[:20]):
                self.refuse_text(lines, says=["bad.jsonl", says], name="bad.jsonl")

    def test_tokenizer_training(self):
        for content in [b"\xff\xfe\xfd", b"ok \xc3("]:
            self.refuse("tokenizer", "train", self.write("bad.txt", content), "--out", self.folder / "t", "--vocab-size",
                        "300", says=["bad.txt", "UTF-8"])
        self.refuse("tokenizer", "train", self.text, "--out", self.folder / "t", "--vocab-size", "12",
                    says=["12", "256"])
        self.refuse("tokenizer", "train", self.folder / "none", "--out", self.folder / "t", says="none")
        self.refuse("tokenizer", "train", self.write("e.txt", ""), "--kind", "char", "--out", self.folder / "t")
        self.assertFalse((self.folder / "t").exists())


class Prompts(CommandTest):
    def setUp(self):
        super().setUp()
        self.model = self.train()

    def test_writes(self):
        text = self.succeed("generate", self.model, "--prompt", "word", "--max-new-tokens", "5", "-q")
        self.assertTrue(text.startswith("word"))
        line = json.loads(self.succeed("generate", self.model, "--prompt", "wörd", "--json", "-q", "-n", "5"))
        self.assertEqual(line["prompt"], "wörd")
        self.assertEqual(len(line["ids"]), len(line["log_probabilities"]))

    def test_an_empty_prompt_starts_a_text(self):
        self.succeed("generate", self.model, "-q", "-n", "3")

    def test_no_utf8(self):
        result = subprocess.run([QKV, "generate", str(self.model), "--prompt", b"ab\xff", "--json"], capture_output=True)
        self.assertEqual(result.returncode, 2, result.stderr)
        self.assertIn(b"UTF-8", result.stderr)
        self.refuse("generate", self.model, "--prompt-file", self.write("p", b"\xff\xfe"), says="UTF-8")
        self.refuse("generate", self.model, "--prompt-file", "-", stdin=b"a\xc3", says="UTF-8")

    def test_too_long(self):
        self.refuse("generate", self.model, "--prompt", "x" * 100, says=["100 tokens", "16 positions"])

    def test_files(self):
        self.refuse("generate", self.model, "--prompt-file", self.folder / "none", says="none")
        self.refuse("generate", self.model, "--prompt-file", self.folder, says="directory")

    def test_options(self):
        for option, value in [("--temperature", "0"), ("--temperature", "nan"), ("--top-p", "0"), ("--top-p", "1.5"),
                              ("--top-k", "-1"), ("--min-p", "1"), ("--typical-p", "0"), ("-n", "0"), ("--beams", "0"),
                              ("--min-new-tokens", "-1"), ("--repetition-penalty", "0"), ("--length-penalty", "nan"),
                              ("--no-repeat-ngram", "-2"), ("--return-sequences", "0"), ("--early-stopping", "maybe"),
                              ("--return-sequences", "99999999999"), ("--beams", "99999999999")]:
            with self.subTest(f"{option} {value}"):
                self.refuse("generate", self.model, "--prompt", "w", option, value,
                            says=option.lstrip("-") if option != "-n" else "max-new-tokens")

    def test_stop_strings_and_seeds(self):
        arguments = ["generate", self.model, "--prompt", "w", "-q", "--seed", "3", "--temperature", "2"]
        text = self.succeed(*arguments)
        self.assertEqual(self.succeed(*arguments), text)
        stop = text[4]
        self.assertEqual(self.succeed(*arguments, "--stop", stop)[1:], text[1:].split(stop)[0] + "\n")

    def test_a_masked_model_does_not_write(self):
        (self.folder / "bert").mkdir()
        for name in ["config.json", "model.safetensors"]:
            shutil.copy(GOLDEN / "models" / "bert_pretraining" / name, self.folder / "bert" / name)
        shutil.copy(GOLDEN / "tokenizers" / "bert_uncased" / "tokenizer.json", self.folder / "bert")
        self.refuse("generate", self.folder / "bert", "--prompt", "w")


class Tokenize(CommandTest):
    def test_lines(self):
        gpt2 = GOLDEN / "tokenizers" / "gpt2"
        out = self.succeed("tokenize", gpt2, "--jsonl", stdin=b'{"text": "Hello"}\n\n{"text": "a", "pair": null}\n')
        self.assertEqual(len(out.splitlines()), 2)
        for line, says in [(b'{"text"', "line 1"), (b"[]", "line 1"), (b'{"text": 3}', "line 1"),
                           (b'{"text": "a", "pair": 3}', "pair"), (b'{"text": "\xff"}', "line 1")]:
            with self.subTest(line):
                self.refuse("tokenize", gpt2, "--jsonl", stdin=line, says=says)

    def test_no_utf8(self):
        result = subprocess.run([QKV, "tokenize", str(GOLDEN / "tokenizers" / "gpt2"), b"ab\xff"], capture_output=True)
        self.assertEqual(result.returncode, 2, result.stderr)


if __name__ == "__main__":
    unittest.main()
