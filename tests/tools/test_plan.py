"""qkv plan, and how a model that is too big is refused."""
from command import *


class Plan(CommandTest):
    def setUp(self):
        super().setUp()
        self.model = self.train("run", "--tokenizer", GOLDEN / "tokenizers" / "gpt2", "--width", "64", "--context", "32")

    def plan(self, *arguments):
        return json.loads(self.succeed("plan", *arguments, "--json", "--no-measuring"))

    def test_sizes(self):
        plan = self.plan(self.model)
        # Packed, rows are filled up to whole panels.
        self.assertGreaterEqual(plan["weight_bytes"], 4 * plan["parameters"])
        self.assertLess(plan["weight_bytes"], 1.05 * 4 * plan["parameters"])
        self.assertEqual((plan["context"], plan["sequences"]), (32, 1))
        self.assertEqual(plan["cache_bytes_per_token"], 1 * 2 * 64 * 4)
        self.assertEqual(plan["cache_bytes"], 32 * plan["cache_bytes_per_token"])
        self.assertTrue(plan["fits"])
        # Matrices are packed; the table of positions, norms and biases are small.
        self.assertEqual({w["place"] for w in plan["weights"]}, {"in memory", "packed in memory"})
        many = self.plan(self.model, "--context", "16", "--batch", "8", "--cache", "q8_0")
        self.assertEqual(many["cache_bytes"], 8 * 16 * 2 * 64 * 34 / 32)
        half = self.plan(self.model, "--dtype", "bf16")
        self.assertLess(half["weight_bytes"], 0.51 * plan["weight_bytes"])
        # Twice the numbers of all matrices and of the head, and attention to 32 positions.
        vocabulary = json.loads(self.succeed("info", self.model, "--json"))["vocabulary"]
        matrices = 64 * (3 * 64) + 64 * 64 + 2 * 64 * 256
        self.assertEqual(plan["token"]["flops"], 2 * (matrices + 64 * vocabulary) + 4 * 64 * 32)

    def test_a_quantised_file(self):
        file = self.folder / "model.gguf"
        self.succeed("quantize", self.model, "--type", "q4_0", "--out", file, "--quiet")
        plan = self.plan(file)
        self.assertIn(("q4_0", "packed in memory"), [(w["type"], w["place"]) for w in plan["weights"]])
        # Beside its weights, each of which is in memory once, the file holds the tokenizer.
        self.assertLess(plan["weight_bytes"], file.stat().st_size)
        self.assertGreater(plan["weight_bytes"], 0.7 * file.stat().st_size)
        self.assertLess(plan["token"]["bytes"], 0.3 * self.plan(self.model)["token"]["bytes"])

    def test_rates(self):
        text = self.succeed("plan", self.model, "--context", "32")
        for word in ["weights", "cache", "scratch", "fits", "FLOP", "new tokens/s", "tokens/s of prompts"]:
            self.assertIn(word, text)
        report = json.loads(self.succeed("plan", self.model, "--json"))
        self.assertGreater(report["predicted"]["tokens_per_second"], 0)
        self.assertGreater(report["predicted"]["prompt_tokens_per_second"], 0)
        self.assertGreater(report["machine"]["bytes_per_second"], 0)

    def test_other_models(self):
        encoder = self.plan(GOLDEN / "models" / "roberta_masked_lm")
        self.assertEqual(encoder["cache_bytes"], 0)
        self.assertIn("tokens/s of prompts", self.succeed("plan", GOLDEN / "models" / "roberta_masked_lm"))
        for name in ["mamba", "t5_bare", "bart", "mixtral", "bloom", "xlnet", "gptj"]:
            if (GOLDEN / "models" / name).exists():
                self.assertGreater(self.plan(GOLDEN / "models" / name)["weight_bytes"], 0, name)

    def test_what_does_not_fit(self):
        whole = self.plan(self.model)["weight_bytes"]
        plan = self.plan(self.model, "--memory", whole * 0.9e-9)
        self.assertFalse(plan["fits"])
        self.assertGreater(plan["missing_bytes"], 0)
        self.assertIn("qkv quantize --type q", plan["advice"])
        self.assertIn("does not fit", self.succeed("plan", self.model, "--memory", whole * 0.9e-9, "--no-measuring"))
        nothing = self.plan(self.model, "--memory", "0.000001")
        self.assertIn("smaller model", nothing["advice"])
        many = self.plan(self.model, "--batch", "4096")
        bytes = many["weight_bytes"] + many["scratch_bytes"] + many["cache_bytes"] / 2
        cache = self.plan(self.model, "--batch", "4096", "--memory", bytes / 1e9)
        self.assertIn("--cache q8_0", cache["advice"])
        self.assertIn("--context of 1", cache["advice"])

    def test_refusals(self):
        self.refuse("plan", self.folder / "none", says="none")
        self.refuse("plan", self.model, "--context", "1000", says=["--context", "32 positions"])
        self.refuse("plan", self.model, "--cache", "q4_0", says="--cache")
        narrow = self.train("narrow")
        self.refuse("plan", narrow, "--cache", "q8_0", says=["--cache", "heads have 4"])
        self.refuse("generate", narrow, "-p", "word", "--cache", "q8_0", says=["--cache", "heads have 4"])

    def test_generate_says_what_is_missing(self):
        self.refuse("generate", self.model, *["-p", "w"] * 20000, "-n", "20", "--return-sequences", "1024",
                    says=["more than there are", "fewer texts"])

    def test_a_cache_of_few_bits_writes_much_the_same(self):
        def text(*arguments):
            out = self.succeed("generate", self.model, "-p", "word", "-n", "12", "--greedy", "--json", "-q", *arguments)
            return json.loads(out)["ids"]
        exact = text()
        self.assertEqual(text("--cache", "f32"), exact)
        for kind in ["bf16", "q8_0"]:
            same = sum(a == b for a, b in zip(text("--cache", kind), exact))
            self.assertGreaterEqual(same, 6, kind)


if __name__ == "__main__":
    unittest.main()
