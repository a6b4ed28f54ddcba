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

    def test_weights_are_kept_as_the_file_holds_them(self):
        def kept(model, *options):
            plan = json.loads(self.succeed("plan", model, "--no-measuring", "--json", *options))
            return {one["type"] for one in plan["weights"] }, plan["weight_bytes"], plan["cache_type"]

        half = self.folder / "half"
        self.succeed("convert", self.model, half, "--dtype", "bf16")
        self.succeed("convert", self.model, self.file, "--dtype", "bf16")
        for model in (half, self.file):
            with self.subTest(model=model):
                self.assertEqual(kept(model), kept(model, "--dtype", "bf16"))
                self.assertEqual(kept(model)[2], "bf16")
                self.assertLess(kept(model)[1], 0.6 * kept(model, "--dtype", "f32")[1])
                text = ("generate", model, "--prompt", "word1 word2", "--greedy", "-n", "4", "--quiet", "--json")
                self.assertEqual(self.succeed(*text), self.succeed(*text, "--dtype", "bf16"))
        self.assertEqual(kept(self.model), kept(self.model, "--dtype", "f32"))
        self.refuse("generate", self.model, "--prompt", "a", "--dtype", "f8", says="--dtype")

    def test_quantize_reports_what_it_cost(self):
        out = self.succeed("quantize", self.model, "--type", "q8_0", "--out", self.file, "--text", self.text,
                           "--calibrate", self.text, "--tokens", "200", "--json", "--quiet")
        report = json.loads(out)
        self.assertEqual(report["bytes_after"], self.file.stat().st_size)
        weights = self.model / "model.safetensors"
        self.assertLess(report["bytes_before"], weights.stat().st_size)
        self.assertGreater(report["bytes_before"], weights.stat().st_size - 20_000)
        self.assertLess(report["bytes_after"], report["bytes_before"])
        self.assertLess(abs(report["perplexity_after"] / report["perplexity_before"] - 1), 0.01)
        self.assertLess(report["kl_divergence"], 1e-3)
        self.assertGreater(report["top_1_agreement"], 0.9)
        self.assertEqual(len(self.ids(self.file)), 8)
        # What cannot be measured is said before anything is written.
        for text, says in [(self.folder / "nothing.txt", "nothing.txt"), (self.write("one.txt", "a"), "--text")]:
            self.refuse("quantize", self.model, "--out", self.folder / "x.gguf", "--text", text, says=says)
            self.assertFalse((self.folder / "x.gguf").exists())
        for verb in ("generate", "plan"):
            self.refuse(verb, self.file, "--int8", says=["--int8", "q8_0", "already"])
        # Over a file that is there: only when asked to.
        self.refuse("quantize", self.model, "--out", self.file, says="already")
        self.succeed("quantize", self.model, "--type", "q4_0", "--out", self.file, "--force", "--quiet")

    def test_a_directory_with_a_file(self):
        (self.model / "README.md").write_text("what it is")
        small, smaller, back = (self.folder / name for name in ["small", "smaller", "back"])
        report = json.loads(self.succeed("quantize", self.model, "--type", "q8_0", "--out", small, "--text", self.text,
                                         "--tokens", "100", "--json", "--quiet"))
        self.assertEqual(report["bytes_after"], (small / "model.gguf").stat().st_size)
        self.assertLess(report["kl_divergence"], 1e-3)
        names = {path.name for path in small.iterdir()}
        self.assertLessEqual({"model.gguf", "config.json", "tokenizer.json", "README.md"}, names)
        self.assertEqual([name for name in names if "safetensors" in name], [])
        self.succeed("quantize", self.model, "--type", "q8_0", "--out", self.file, "--quiet")
        self.assertEqual(self.ids(small), self.ids(self.file))
        self.assertIn("q8_0", self.succeed("info", small))
        # From such a directory, and from a file.
        self.succeed("convert", small, back)
        self.assertEqual(self.ids(back), self.ids(small))
        for source in [small, self.file]:
            self.succeed("quantize", source, "--type", "q4_0", "--out", smaller, "--force", "--quiet")
            self.assertEqual(len(self.ids(smaller)), 8)
        self.refuse("quantize", self.model, "--out", small, says="already")
        # Over what is read: what it cost could not be told.
        for model in (self.model, small):
            self.refuse("quantize", model, "--out", model, "--force", says="is the model that is read")
        # Training begins with the numbers that were in the blocks, and ends in safetensors.
        self.succeed("train", self.text, "--from", small, "--out", self.folder / "y", "--steps", "1")
        self.assertTrue((self.folder / "y" / "model.safetensors").exists())
        self.assertEqual(len(self.ids(self.folder / "y")), 8)
        # Two files: nobody knows which.
        shutil.copy(small / "model.gguf", small / "other.gguf")
        self.refuse("generate", small, "--prompt", "a", says="small")

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
        for to in ["safetensors", "bin"]:
            for source in [self.model, self.file]:
                self.refuse("convert", source, self.folder / "x.gguf", "--to", to, says=["--to", to, "x.gguf"])
        self.refuse("convert", self.model, self.folder / "x.gguf", "--max-shard-size", "1MB", says=["--max-shard-size", "GGUF"])
        self.assertFalse((self.folder / "x.gguf").exists())
        for name, options in [("y.gguf", []), ("y", ["--to", "gguf"]), ("z", [])]:
            report = json.loads(self.succeed("convert", self.model, self.folder / name, "--json", *options))
            self.assertEqual(report["format"], "safetensors" if name == "z" else "gguf")
        self.refuse("quantize", self.model, "--type", "q9", "--out", self.folder / "x.gguf", says="--type")
        self.refuse("train", self.text, "--from", self.file, "--out", self.folder / "w", "--steps", "1", says="directory")


class T5(CommandTest):
    """An encoder-decoder in one file: the golden T5 1.1 with a unigram tokenizer of words."""

    def setUp(self):
        super().setUp()
        self.model, self.file = self.folder / "t5", self.folder / "t5.gguf"
        shutil.copytree(GOLDEN / "models" / "t5_v11", self.model)
        self.config(relative_attention_max_distance=128)
        special = ["<pad>", "</s>", "<unk>"]
        size = json.loads((self.model / "config.json").read_text())["vocab_size"]
        pieces = [[token, 0.0] for token in special] + [[f"\u2581w{i}", -3.0 - i / 16] for i in range(3, size - 2)]
        marks = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always"}
        end = {"SpecialToken": {"id": "</s>", "type_id": 0}}
        (self.model / "tokenizer.json").write_text(json.dumps({
            "model": {"type": "Unigram", "unk_id": 2, "vocab": pieces}, "normalizer": None, "decoder": marks,
            "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, marks]},
            "post_processor": {"type": "TemplateProcessing", "pair": [],
                               "single": [{"Sequence": {"id": "A", "type_id": 0}}, end],
                               "special_tokens": {"</s>": {"id": "</s>", "ids": [1], "tokens": ["</s>"]}}},
            "added_tokens": [{"id": i, "content": token, "special": True, "single_word": False, "lstrip": False,
                              "rstrip": False, "normalized": False}
                             for i, token in [*enumerate(special), (size - 2, "<extra_id_0>")]]}))

    def config(self, **changes):
        path = self.model / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    def written(self, verb, model, *options):
        return self.succeed(verb, model, "w7 w8  w9 ", "-n", 9, *options)

    def test_one_file_is_the_model(self):
        self.succeed("convert", self.model, "--to", "gguf", self.file)
        back = self.folder / "back"
        self.succeed("convert", self.file, back)
        for model in [self.file, back]:
            for verb, options in [("translate", []), ("summarize", ["--beams", 3]), ("translate", ["--dtype", "bf16"])]:
                self.assertEqual(self.written(verb, model, *options), self.written(verb, self.model, *options))
            one, other = (self.succeed("tokenize", where, "w7 <extra_id_0> w80 what", "--json") for where in (model, self.model))
            self.assertEqual(json.loads(one)["ids"], json.loads(other)["ids"])
        self.assertIn("T5", self.succeed("info", self.file))

    def test_in_blocks(self):
        report = json.loads(self.succeed("quantize", self.model, "--type", "q8_0", "--out", self.file, "--json", "--quiet"))
        self.assertLess(report["bytes_after"], report["bytes_before"])
        self.assertTrue(self.written("translate", self.file).strip())
        for out in [self.folder / "x.gguf", self.folder / "x"]:
            self.refuse("quantize", self.model, "--out", out, "--text", self.text, says=["causal", "--text"])
            self.refuse("quantize", self.model, "--out", out, "--calibrate", self.text, says="encoder-decoder")
            self.assertFalse(out.exists())

    def test_refusals(self):
        self.config(relative_attention_max_distance=64)
        self.refuse("convert", self.model, self.file, says=["t5.gguf", "no words"])
        self.assertFalse(self.file.exists())
        self.config(relative_attention_max_distance=128)
        words = json.loads((self.model / "tokenizer.json").read_text())
        larger = self.folder / "larger"
        shutil.copytree(self.model, larger)
        words["added_tokens"][-1]["id"] += 5
        (larger / "tokenizer.json").write_text(json.dumps(words))
        self.refuse("convert", larger, self.file, says=["<extra_id_0>", "beyond"])
        self.succeed("convert", self.model, self.file)
        whole = self.file.read_bytes()
        for key in [b"t5.block_count", b"t5.attention.relative_buckets_count", b"tokenizer.ggml.scores"]:
            self.file.write_bytes(whole.replace(key, key[:-1] + b"x"))
            self.refuse("translate", self.file, "w7", says="t5.gguf")


if __name__ == "__main__":
    unittest.main()
