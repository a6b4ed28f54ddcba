"""GGUF files on the command line: convert, info, generate, quantize, and what they refuse."""
from command import *


class Gguf(CommandTest):
    def setUp(self):
        super().setUp()
        self.model = self.train("run", "--tokenizer", GOLDEN / "tokenizers" / "gpt2", "--width", "64", "--context", "32")
        self.file = self.folder / "model.gguf"

    def ids(self, model):
        out = self.succeed("generate", model, "--prompt", "word1 word2", "--greedy", "--json", "-n", "8", "--quiet")
        return json.loads(out)["ids"]

    def test_one_file_is_the_model(self):
        self.succeed("convert", self.model, self.file)
        self.assertEqual(self.ids(self.file), self.ids(self.model))
        self.assertIn("GPT-2", self.succeed("info", self.file))
        one, other = (self.succeed("tokenize", where, "Hello there", "--json") for where in (self.file, self.model))
        self.assertEqual(json.loads(one)["ids"], json.loads(other)["ids"])
        back = self.folder / "back"
        self.succeed("convert", self.file, back)
        self.assertEqual(self.ids(back), self.ids(self.model))

    def test_quantize_reports_what_it_cost(self):
        out = self.succeed("quantize", self.model, "--type", "q8_0", "--out", self.file, "--text", self.text,
                           "--calibrate", self.text, "--tokens", "200", "--json", "--quiet")
        report = json.loads(out)
        self.assertEqual(report["bytes_after"], self.file.stat().st_size)
        self.assertLess(report["bytes_after"], report["bytes_before"])
        self.assertLess(abs(report["perplexity_after"] / report["perplexity_before"] - 1), 0.01)
        self.assertLess(report["kl_divergence"], 1e-3)
        self.assertGreater(report["top_1_agreement"], 0.9)
        self.assertEqual(len(self.ids(self.file)), 8)
        # Over a file that is there: only when asked to.
        self.refuse("quantize", self.model, "--out", self.file, says="already")
        self.succeed("quantize", self.model, "--type", "q4_0", "--out", self.file, "--force", "--quiet")

    def test_damaged_files(self):
        self.succeed("convert", self.model, self.file)
        whole = self.file.read_bytes()
        for length in [0, 3, 10, 100, len(whole) // 2, len(whole) - 1]:
            with self.subTest(length):
                self.file.write_bytes(whole[:length])
                self.refuse("generate", self.file, "--prompt", "a", says="model.gguf")

    def test_refusals(self):
        self.succeed("convert", self.model, self.file)
        self.refuse("convert", self.model, self.file, says="already")
        self.refuse("convert", self.file, self.model, says="already")
        self.refuse("quantize", self.model, "--type", "q9", "--out", self.folder / "x.gguf", says="--type")
        self.refuse("train", self.text, "--from", self.file, "--out", self.folder / "y", "--steps", "1", says="directory")


if __name__ == "__main__":
    unittest.main()
