"""Model directories that are damaged, contradict themselves or lie."""
import pickle
import zipfile

from command import *


class ModelDirectory(CommandTest):
    def setUp(self):
        super().setUp()
        self.model = self.folder / "model"
        self.model.mkdir()
        for name in ["config.json", "model.safetensors", "golden.json", "golden.safetensors"]:
            shutil.copy(GOLDEN / "models" / "gpt2" / name, self.model / name)
        self.config = json.loads((self.model / "config.json").read_text())

    def verify(self, says=()):
        return self.refuse("verify", self.model, says=says)

    def weights(self, content):
        (self.model / "model.safetensors").write_bytes(content)

    def change_config(self, **changes):
        config = {**self.config, **changes}
        config = {key: value for key, value in config.items() if value != "absent"}
        (self.model / "config.json").write_text(json.dumps(config))


class Config(ModelDirectory):
    def test_directories(self):
        for command in ["info", "generate", "verify"]:
            with self.subTest(command):
                self.refuse(command, self.folder / "none", says="none")
                (self.folder / "empty").mkdir(exist_ok=True)
                self.refuse(command, self.folder / "empty", says=["empty", "config.json"])
                self.refuse(command, self.text, says="text.txt")

    def test_the_good_one_is_good(self):
        self.succeed("verify", self.model)
        self.assertIn("GPT-2", self.succeed("info", self.model))
        self.assertEqual(json.loads(self.succeed("info", self.model, "--json"))["family"], "gpt2")

    def test_no_json(self):
        for content in [b"", b"{", b"[]", b"null", b"\xff", b"\0", b"[" * 100000, b'{"a":' * 100000, b'"text"']:
            with self.subTest(content[:10]):
                (self.model / "config.json").write_bytes(content)
                self.refuse("info", self.model, says="config.json")
                self.verify("config.json")

    def test_missing_fields_are_named(self):
        for key in ["n_embd", "n_layer", "n_head", "vocab_size"]:
            with self.subTest(key):
                self.change_config(**{key: "absent"})
                self.refuse("info", self.model, says=["config.json", key, "missing"])

    def test_a_configuration_without_a_type(self):
        self.change_config(model_type="absent")
        self.succeed("verify", self.model)
        for classes in ["absent", ["GalaxyForCausalLM"], [], [3], "GPT2LMHeadModel"]:
            self.change_config(model_type="absent", architectures=classes)
            self.refuse("info", self.model, says=["config.json", "model_type", "is missing"])

    def test_values_out_of_range_are_named(self):
        for key in ["n_embd", "n_layer", "n_head", "vocab_size", "n_positions"]:
            for value in [-8, 0, 1.5, "four", [], {}, True, 2**31, 2**63, 2**64, 1e300, -2**63]:
                with self.subTest(f"{key} = {value}"):
                    self.change_config(**{key: value})
                    self.refuse("info", self.model, says=["config.json", key])

    def test_other_kinds_of_fields(self):
        for key, value in [("layer_norm_epsilon", -1), ("layer_norm_epsilon", "small"), ("attn_pdrop", 1),
                           ("activation_function", "gulu"), ("activation_function", 3), ("model_type", "gpt_2"),
                           ("model_type", 7), ("architectures", "GPT2LMHeadModel"), ("architectures", []),
                           ("architectures", [3]), ("architectures", ["GPT2ForPoetry"]),
                           ("tie_word_embeddings", "yes"), ("scale_attn_weights", 1)]:
            with self.subTest(f"{key} = {value}"):
                self.change_config(**{key: value})
                self.refuse("info", self.model, says="config.json")

    def test_sizes_that_the_weights_do_not_have(self):
        # Whatever the file claims, memory goes to what the weights hold.
        for changes in [{"n_layer": 3}, {"n_layer": 1}, {"n_embd": self.config["n_embd"] * 2}, {"vocab_size": 7},
                        {"vocab_size": 2**31 - 1}, {"n_layer": 2**31 - 1}, {"n_positions": 2**31 - 1},
                        {"n_inner": 2**31 - 1}, {"n_layer": 10**6, "n_embd": 2**10, "n_head": 1}]:
            with self.subTest(changes):
                self.change_config(**changes)
                self.refuse("verify", self.model, says=str(self.model), preexec_fn=limit_memory)

    def test_ids_outside_the_vocabulary(self):
        run = self.train()
        for content in ['{"eos_token_id": "end"}', '{"eos_token_id": [1, "x"]}', "[]", "{", '{"eos_token_id": 1e99}']:
            with self.subTest(content):
                (run / "generation_config.json").write_text(content)
                self.refuse("generate", run, "--prompt", "w", says="generation_config.json")
        (run / "generation_config.json").write_text('{"eos_token_id": [99999999999, -5]}')
        self.run_qkv("generate", run, "--prompt", "w")


def limit_memory():
    import resource
    if os.environ.get("QKV_SANITIZE"):
        return  # a sanitizer's shadow memory alone is more
    resource.setrlimit(resource.RLIMIT_DATA, (2 << 30, 2 << 30))


class Weights(ModelDirectory):
    def test_none(self):
        (self.model / "model.safetensors").unlink()
        self.verify(["model.safetensors", "no "])
        for content, says in [(b"PK", "too short for a zip archive"), (b"", "not a file that torch.save wrote"),
                              (b"sys_info", "PyTorch 0.1"), (b"\x80\x02]q\x00.", "not a file that torch.save wrote")]:
            with self.subTest(content):
                (self.model / "pytorch_model.bin").write_bytes(content)
                self.verify(["pytorch_model.bin", says])

    def test_a_pickle_that_would_run_something(self):
        (self.model / "model.safetensors").unlink()
        proof = self.folder / "proof"

        class Attack:
            def __reduce__(self):
                return os.system, (f"touch {proof}",)

        for value in [Attack(), {"transformer.wte.weight": Attack()}, {"weights": [Attack()]}]:
            with zipfile.ZipFile(self.model / "pytorch_model.bin", "w") as archive:
                archive.writestr("pytorch_model/data.pkl", pickle.dumps(value, protocol=2))
            self.verify(["pytorch_model.bin: pytorch_model/data.pkl", "asks for Python's posix.system", "not allowed",
                         "attack"])
        legacy = pickle.dumps(0x1950a86a20f9469cfc6c, 2) + pickle.dumps(1001, 2) + pickle.dumps({}, 2)
        (self.model / "pytorch_model.bin").write_bytes(legacy + pickle.dumps(Attack(), 2))
        self.verify(["pytorch_model.bin", "posix.system"])
        self.assertFalse(proof.exists())

    def test_cut_off_anywhere(self):
        whole = (GOLDEN / "models" / "gpt2" / "model.safetensors").read_bytes()
        for size in [0, 1, 7, 8, 9, 100, len(whole) // 2, len(whole) - 1]:
            with self.subTest(size):
                self.weights(whole[:size])
                self.verify("model.safetensors")
        self.weights(whole + b"x")
        self.verify("model.safetensors")

    def test_four_gigabytes_in_a_kilobyte(self):
        for length in [2**32, 2**63, 2**64 - 1, 1017, 100 * 2**20]:
            with self.subTest(length):
                self.weights(struct.pack("<Q", length) + b"{" + b" " * 1015)
                self.verify("model.safetensors")

    def test_tensors_that_lie(self):
        def entry(**fields):
            return {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **fields}
        for header, says in [
                ({"a": entry(data_offsets=[0, 16])}, "a"), ({"a": entry(data_offsets=[8, 0])}, "a"),
                ({"a": entry(data_offsets=[0, 2**63])}, "a"), ({"a": entry(shape=[2**40])}, "a"),
                ({"a": entry(shape=[2**32, 2**32])}, "a"), ({"a": entry(shape=[-2])}, "a"),
                ({"a": entry(dtype="F13")}, "F13"), ({"a": entry(dtype=3)}, "dtype"), ({"a": 3}, "a"),
                ({"a": entry(data_offsets=[0])}, "data_offsets"), ({"a": {"dtype": "F32"}}, "shape"),
                ({"a": entry(shape=[1] * 100)}, "dimensions"), ("[]", "object"), ("{", "JSON"), ("", "header"),
                ({"a": entry(), "b": entry()}, "b"),
                ('{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}, "a": {"dtype": "F32", "shape": [2], '
                 '"data_offsets": [0, 8]}}', "a"), ("[" * 100000, "header")]:
            with self.subTest(str(header)[:80]):
                self.weights(safetensors(header, b"\0" * 8))
                self.verify(["model.safetensors", says])

    def test_holes_and_overlaps_between_tensors(self):
        header, data = read_safetensors(GOLDEN / "models" / "gpt2" / "model.safetensors")
        names = [name for name in header if name != "__metadata__"]
        for shift in [-4, 4]:
            changed = json.loads(json.dumps(header))
            begin, end = changed[names[1]]["data_offsets"]
            changed[names[1]]["data_offsets"] = [begin + shift, end + shift]
            self.weights(safetensors(changed, data))
            self.verify("model.safetensors")

    def test_missing_and_left_over_tensors_are_listed(self):
        header, data = read_safetensors(GOLDEN / "models" / "gpt2" / "model.safetensors")
        header["transformer.mystery.weight"] = header.pop("transformer.h.0.attn.c_attn.weight")
        self.weights(safetensors(header, data))
        self.verify(["missing (1)", "transformer.h.0.attn.c_attn.weight", "left over (1)", "transformer.mystery.weight"])

    def test_an_index_that_leads_elsewhere(self):
        (self.model / "model.safetensors").rename(self.folder / "outside.safetensors")
        for target in ["../outside.safetensors", "/etc/passwd", "none.safetensors", 3]:
            with self.subTest(target):
                (self.model / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": target}}))
                self.verify("index.json")

    def test_golden_results_that_do_not_belong(self):
        for content in [b"", b"{}", b"[", b'{"runs": 3}', b'{"runs": [{"prefix": 3}]}']:
            with self.subTest(content):
                (self.model / "golden.json").write_bytes(content)
                self.verify("golden")


class Tokenizers(CommandTest):
    def tokenizer(self, model, **fields):
        return self.write("t/tokenizer.json", json.dumps({"model": {"type": "BPE", **model}, **fields}))

    def refuse_model(self, says=(), **model):
        self.refuse("tokenize", self.tokenizer(model), "ab", says=["tokenizer.json", *says])

    def test_merges(self):
        vocab = {"a": 0, "b": 1, "ab": 2}
        self.succeed("tokenize", self.tokenizer({"vocab": vocab, "merges": ["a b"]}), "ab")
        self.refuse_model(vocab=vocab, merges=["a c"], says=["'c'"])
        self.refuse_model(vocab=vocab, merges=["b a"], says=["'ba'"])
        self.refuse_model(vocab=vocab, merges=["a"], says=["merges[0]"])
        self.refuse_model(vocab=vocab, merges=[["a", 3]], says=["merges[0]"])
        self.refuse_model(vocab=vocab, merges={"a": "b"}, says=["merges"])
        self.refuse_model(vocab=vocab, says=["merges"])

    def test_merges_in_a_circle_end(self):
        # Tokens whose parts are themselves, and merges that come before their parts.
        vocab = {"a": 0, "": 1, "aa": 2, "aaa": 3, "aaaa": 4}
        for merges in [[" a", "a "], ["aa aa", "a a"], ["a aa", "aa a", "a a", "aa aa"], ["a a"] * 50]:
            result = self.run_qkv("tokenize", self.tokenizer({"vocab": vocab, "merges": merges}), "a" * 50, timeout=20)
            self.assertIn(result.returncode, (0, 2), result.stderr)

    def test_vocabularies(self):
        merges = []
        self.refuse_model(vocab={"a": -1}, merges=merges)
        self.refuse_model(vocab={"a": 2**31}, merges=merges)
        self.refuse_model(vocab={"a": 2**63}, merges=merges)
        self.refuse_model(vocab={"a": 1.5}, merges=merges)
        self.refuse_model(vocab={"a": 0, "b": 0}, merges=merges)
        self.refuse_model(vocab=[], merges=merges)
        self.refuse_model(vocab={}, merges=merges)

    def test_ids_with_holes_do_not_become_memory(self):
        result = self.run_qkv("tokenize", self.tokenizer({"vocab": {"a": 2**31 - 2}, "merges": []}), "a",
                              preexec_fn=limit_memory)
        self.assertIn(result.returncode, (0, 2), result.stderr)

    def test_no_json(self):
        for content in [b"", b"{", b"[]", b"\xff", b"[" * 100000, b'{"model":' * 10000]:
            with self.subTest(content[:10]):
                self.refuse("tokenize", self.write("t/tokenizer.json", content), "a", says="tokenizer.json")

    def test_the_older_files(self):
        self.refuse("tokenize", self.write("w/vocab.txt", ""), "a", says="vocab.txt")
        self.refuse("tokenize", self.write("w/vocab.txt", b"\xff\n"), "a", says="vocab.txt")
        self.write("m/vocab.json", '{"a": 0, "b": 1, "ab": 2}')
        for merges in ["a c\n", "a b c\n", "ab\n", b"\xff \xfe\n"]:
            with self.subTest(merges):
                self.write("m/merges.txt", merges)
                self.refuse("tokenize", self.folder / "m", "a", says="merges.txt")
        self.refuse("tokenize", self.folder / "none", "a", says="none")
        (self.folder / "nothing").mkdir()
        self.refuse("tokenize", self.folder / "nothing", "a", says=["nothing", "tokenizer.json"])

    def test_a_tokenizer_larger_than_the_model(self):
        model = self.folder / "model"
        model.mkdir()
        for name in ["config.json", "model.safetensors"]:
            shutil.copy(GOLDEN / "models" / "gpt2" / name, model / name)
        shutil.copy(GOLDEN / "tokenizers" / "gpt2" / "tokenizer.json", model)
        size = json.loads((model / "config.json").read_text())["vocab_size"]
        self.refuse("generate", model, "--prompt", "a", says=["tokenizer", "tokens", str(size)])

    def test_special_tokens_beyond_the_model(self):
        run = self.train()
        tokenizer = json.loads((run / "tokenizer.json").read_text())
        tokenizer["added_tokens"].append({"id": 5000, "content": "<late>", "special": True})
        (run / "tokenizer.json").write_text(json.dumps(tokenizer))
        self.refuse("generate", run, "--prompt", "a", says=["special token '<late>' has id 5000"])


if __name__ == "__main__":
    unittest.main()
