"""Checkpoints as they were written over the years: other keys, other names of tensors, TensorFlow's files."""
import tensorflow_files
from command import *


class OldModel(CommandTest):
    def model(self, name):
        """A golden case, to be changed: its folder, its configuration, its tensors as {name: (dtype, shape, bytes)}."""
        folder = self.folder / name
        shutil.copytree(GOLDEN / "models" / name, folder)
        header, data = read_safetensors(folder / "model.safetensors")
        tensors = {key: (entry["dtype"], entry["shape"], data[slice(*entry["data_offsets"])])
                   for key, entry in header.items() if key != "__metadata__"}
        return folder, json.loads((folder / "config.json").read_text()), tensors

    def write_model(self, folder, config, tensors):
        header, data = {}, b""
        for name, (dtype, shape, content) in tensors.items():
            header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(content)]}
            data += content
        (folder / "model.safetensors").write_bytes(safetensors(header, data))
        (folder / "config.json").write_text(json.dumps(config))

    def verify(self, folder):
        self.assertIn(" agree", self.succeed("verify", folder))


class History(OldModel):
    def test_names_of_the_first_bert(self):
        folder, config, tensors = self.model("bert_pretraining")
        old = {name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): value
               for name, value in tensors.items()}
        self.assertNotEqual(set(old), set(tensors))
        self.write_model(folder, config, old)
        self.verify(folder)

    def test_names_of_the_first_gpts(self):
        for case, prefix in [("gpt2", "transformer."), ("openai_gpt", "transformer.")]:
            with self.subTest(case):
                folder, config, tensors = self.model(case)
                old = {}
                for name, value in tensors.items():
                    name = name.removeprefix(prefix)
                    for today, then in [("ln_1.weight", "ln_1.g"), ("ln_1.bias", "ln_1.b"),
                                        ("c_attn.weight", "c_attn.w")]:
                        name = name.replace(today, then)
                    old[name] = value
                self.write_model(folder, config, old)
                self.verify(folder)

    def test_data_parallel(self):
        folder, config, tensors = self.model("gpt2")
        self.write_model(folder, config, {f"module.{name}": value for name, value in tensors.items()})
        self.verify(folder)

    def test_keys_of_the_first_gpt2(self):
        folder, config, tensors = self.model("gpt2")
        positions, vocabulary = config.pop("n_positions"), config.pop("vocab_size")
        config.pop("model_type")
        config.pop("dtype", None)
        config.update({"n_ctx": positions, "vocab_size_or_config_json_file": vocabulary, "output_past": True,
                       "pruned_heads": {}, "torchscript": False, "finetuning_task": None, "num_labels": 1,
                       "torch_dtype": "float32"})
        self.write_model(folder, config, tensors)
        self.verify(folder)
        said = self.run_qkv("verify", folder).stderr.decode()
        self.assertEqual(said.count("note: "), 1, said)
        self.assertIn("taken for a 'gpt2'", said)

    def test_counts_of_labels(self):
        folder, config, tensors = self.model("bert_sequence_multilabel")
        names = config.pop("id2label")
        config.pop("label2id")
        config["_num_labels"] = len(names)
        self.write_model(folder, config, tensors)
        self.verify(folder)

    def test_no_class_named(self):
        for case in ["gpt2", "bert_pretraining", "bert_masked_lm_untied", "bert_question_answering", "t5_v10", "bart",
                     "gpt2_sequence_classification"]:
            with self.subTest(case):
                folder, config, tensors = self.model(case)
                config.pop("architectures")
                self.write_model(folder, config, tensors)
                said = self.run_qkv("verify", folder).stderr.decode()
                self.assertEqual(said.count("note: "), 1, said)
                self.assertIn("architectures", said)
                self.verify(folder)

    def test_the_first_falcons(self):
        for case, kind in [("falcon", "RefinedWebModel"), ("falcon_new_decoder", "RefinedWeb")]:
            with self.subTest(case):
                folder, config, tensors = self.model(case)
                config.pop("new_decoder_architecture", None)
                for today, then in [("num_attention_heads", "n_head"), ("num_hidden_layers", "n_layer"),
                                    ("num_kv_heads", "n_head_kv")]:
                    if today in config:
                        config[then] = config.pop(today)
                self.write_model(folder, {**config, "model_type": kind}, tensors)
                self.verify(folder)

    def test_pruned_heads(self):
        folder, config, tensors = self.model("bert_pretraining")
        self.write_model(folder, {**config, "pruned_heads": {"0": [1]}}, tensors)
        self.refuse("verify", folder, says=["config.json", "pruned_heads"])


class TensorFlow(OldModel):
    def release(self, case, config_file, names, **options):
        """The golden case as its authors would have released it, the golden results beside."""
        folder, config, tensors = self.model(case)
        (folder / "model.safetensors").unlink()
        (folder / "config.json").unlink()
        for key in ["model_type", "architectures", "transformers_version", "dtype", "torch_dtype"]:
            config.pop(key, None)
        (folder / config_file).write_text(json.dumps(config))
        variables = {}
        for name, tensor in tensors.items():
            for today, then in names:
                name = name.replace(today, then)
            variables.update(tensorflow_files.variable(name.replace(".", "/"), tensor))
        variables["global_step"] = ("I64", [], struct.pack("<q", 1000000))
        moments = {f"{name}/adam_{m}": value for name, value in variables.items() for m in "mv" if "kernel" in name}
        tensorflow_files.write(folder / "bert_model.ckpt", {**variables, **moments}, **options)
        return folder

    BERT = [("encoder.layer.", "encoder.layer_"), ("cls.predictions.bias", "cls.predictions.output_bias"),
            ("cls.seq_relationship.weight", "cls.seq_relationship.output_weights"),
            ("cls.seq_relationship.bias", "cls.seq_relationship.output_bias")]
    ALBERT = [("albert_layer_groups.", "transformer.group_"), (".albert_layers.", ".inner_group_"),
              (".attention.LayerNorm.", ".LayerNorm."), (".full_layer_layer_norm.", ".LayerNorm_1."),
              (".attention.dense.", ".attention_1.output.dense."),
              (".attention.query.", ".attention_1.self.query."), (".attention.key.", ".attention_1.self.key."),
              (".attention.value.", ".attention_1.self.value."), (".ffn_output.", ".ffn_1.intermediate.output.dense."),
              (".ffn.", ".ffn_1.intermediate.dense."), (".pooler.", ".pooler.dense."), ("albert.", "bert."),
              ("predictions.bias", "cls.predictions.output_bias"),
              ("predictions.dense.", "cls.predictions.transform.dense."),
              ("predictions.LayerNorm.", "cls.predictions.transform.LayerNorm."),
              ("sop_classifier.classifier.weight", "cls.seq_relationship.output_weights"),
              ("sop_classifier.classifier.bias", "cls.seq_relationship.output_bias")]

    def test_bert(self):
        folder = self.release("bert_pretraining", "bert_config.json", self.BERT)
        self.verify(folder)
        self.assertIn("BERT", self.succeed("info", folder))
        converted = self.folder / "converted"
        self.succeed("convert", folder, converted)
        config = json.loads((converted / "config.json").read_text())
        self.assertEqual((config["model_type"], config["architectures"]), ("bert", ["BertForPreTraining"]))
        today, _ = read_safetensors(GOLDEN / "models" / "bert_pretraining" / "model.safetensors")
        now, _ = read_safetensors(converted / "model.safetensors")
        self.assertEqual(set(now), set(today))

    def test_training_goes_on_from_a_release(self):
        folder = self.release("bert_pretraining", "bert_config.json", self.BERT)
        vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{i}" for i in range(5, 101))]
        (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
        converted = self.folder / "converted"
        self.succeed("convert", folder, converted)
        lines = [" ".join(f"w{5 + (i * 7 + j * j) % 96}" for j in range(12)) for i in range(60)]
        text = self.write("documents.jsonl", "".join(json.dumps({"text": line}) + "\n" for line in lines))
        runs = []
        for source, out in [(folder, "from_release"), (converted, "from_converted")]:
            self.succeed("train", text, "--from", source, "--out", self.folder / out, "--steps", "4", "--batch", "2",
                         "--context", "16", "--dtype", "f32", "--lr", "0.01", "--threads", "1", "--seed", "3")
            runs.append((self.folder / out / "model.safetensors").read_bytes())
        self.assertEqual(runs[0], runs[1])
        before, after = (read_safetensors(path / "model.safetensors") for path in (converted, self.folder / "from_release"))
        self.assertEqual(set(after[0]) - {"__metadata__"}, set(before[0]) - {"__metadata__"})
        self.assertNotEqual(runs[0], (converted / "model.safetensors").read_bytes())

    def test_albert(self):
        self.verify(self.release("albert_pretraining", "albert_config.json", self.ALBERT))

    def test_compressed_index(self):
        self.verify(self.release("bert_pretraining", "bert_config.json", self.BERT, compress=True, block=300))

    def test_several_data_files(self):
        self.verify(self.release("bert_pretraining", "bert_config.json", self.BERT, shards=3))

    def test_which_of_several(self):
        folder = self.release("bert_pretraining", "bert_config.json", self.BERT)
        shutil.copy(folder / "bert_model.ckpt.index", folder / "other.ckpt.index")
        self.refuse("verify", folder, says=["several", "other.ckpt.index"])
        (folder / "checkpoint").write_text('model_checkpoint_path: "/home/me/bert_model.ckpt"\n')
        self.verify(folder)

    def test_damage(self):
        folder = self.release("bert_pretraining", "bert_config.json", self.BERT)
        index, data = folder / "bert_model.ckpt.index", folder / "bert_model.ckpt.data-00000-of-00001"
        good_index, good_data = index.read_bytes(), data.read_bytes()
        for size in [0, 1, 47, 48, len(good_index) // 2, len(good_index) - 1]:
            index.write_bytes(good_index[:size])
            self.refuse("verify", folder, says="bert_model.ckpt.index")
        for at in range(0, len(good_index), max(1, len(good_index) // 40)):
            index.write_bytes(good_index[:at] + bytes([good_index[at] ^ 0x55]) + good_index[at + 1:])
            result = self.run_qkv("verify", folder)
            self.assertIn(result.returncode, (0, 2), result.stderr)
        index.write_bytes(good_index)
        data.write_bytes(good_data[:-1])
        self.refuse("verify", folder, says=["bert_model.ckpt.index", "of data"])
        data.write_bytes(good_data[:100] + bytes([good_data[100] ^ 1]) + good_data[101:])
        self.refuse("verify", folder, says=["check sum", "bert/"])
        data.unlink()
        self.refuse("verify", folder, says=["data-00000-of-00001", "not there"])

    def test_other_families(self):
        folder, _, _ = self.model("gpt2")
        (folder / "model.safetensors").unlink()
        tensorflow_files.write(folder / "model.ckpt", {"w": ("F32", [1], b"\0" * 4)})
        self.refuse("verify", folder, says=["model.ckpt.index", "GPT-2"])


if __name__ == "__main__":
    unittest.main()
