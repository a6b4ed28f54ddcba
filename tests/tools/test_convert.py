"""qkv convert: from format to format and back, and what it refuses."""
from command import *


class Convert(CommandTest):
    def setUp(self):
        super().setUp()
        self.source = self.model("gpt2")
        for name in ["vocab.json", "merges.txt", "tokenizer.json", "tokenizer_config.json"]:
            shutil.copy(GOLDEN / "tokenizers" / "gpt2" / name, self.source / name)
        self.target = self.folder / "target"

    def model(self, name):
        folder = self.folder / name
        folder.mkdir()
        for path in (GOLDEN / "models" / name).iterdir():
            if not path.name.startswith("golden"):
                shutil.copy(path, folder)
        return folder

    def names(self, folder):
        return sorted(path.name for path in folder.iterdir())

    def same_files(self, folder, but=()):
        for path in self.source.iterdir():
            if path.name not in but:
                self.assertEqual((folder / path.name).read_bytes(), path.read_bytes(), path.name)

    def verify(self, folder, name):
        for path in (GOLDEN / "models" / name).glob("golden*"):
            shutil.copy(path, folder)
        self.succeed("verify", folder)

    def test_there_and_back_is_bit_identical(self):
        self.succeed("convert", self.source, self.target, "--to", "bin")
        self.assertEqual(self.names(self.target),
                         sorted(set(self.names(self.source)) - {"model.safetensors"} | {"pytorch_model.bin"}))
        back = self.folder / "back"
        self.succeed("convert", self.target, back)
        self.assertEqual(self.names(back), self.names(self.source))
        self.same_files(back)
        self.verify(self.target, "gpt2")

    def test_shards_there_and_back(self):
        for to, stem, suffix in [("bin", "pytorch_model", ".bin"), ("safetensors", "model", ".safetensors")]:
            with self.subTest(to):
                folder, back = self.folder / f"{to}-shards", self.folder / f"{to}-back"
                self.succeed("convert", self.source, folder, "--to", to, "--max-shard-size", "20KB")
                shards = sorted(folder.glob(f"{stem}-*{suffix}"))
                self.assertGreater(len(shards), 2)
                index = json.loads((folder / f"{stem}{suffix}.index.json").read_text())
                self.assertEqual(set(index["weight_map"].values()), {shard.name for shard in shards})
                self.succeed("convert", folder, back, "--max-shard-size", "none")
                self.same_files(back)
                self.verify(folder, "gpt2")

    def test_half_precision(self):
        for dtype, name in [("bf16", "bfloat16"), ("f16", "float16")]:
            with self.subTest(dtype):
                folder, again, wide = (self.folder / f"{dtype}-{part}" for part in ("half", "again", "wide"))
                self.succeed("convert", self.source, folder, "--dtype", dtype)
                header, _ = read_safetensors(folder / "model.safetensors")
                self.assertEqual({entry["dtype"] for key, entry in header.items() if key != "__metadata__"},
                                 {dtype.upper()})
                self.assertEqual(json.loads((folder / "config.json").read_text())["dtype"], name)
                self.same_files(folder, but=["model.safetensors", "config.json"])
                # What has been rounded once is exact in f32.
                self.succeed("convert", folder, wide, "--dtype", "f32", "--to", "bin")
                self.succeed("convert", wide, again, "--dtype", dtype)
                self.assertEqual((again / "model.safetensors").read_bytes(), (folder / "model.safetensors").read_bytes())

    def test_numbers_beyond_half_precision(self):
        header = {"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}
        (self.source / "model.safetensors").write_bytes(safetensors(header, struct.pack("<ff", 1e5, float("inf"))))
        self.refuse("convert", self.source, self.target, "--dtype", "f16", says=["w", "100000", "f16", "bf16"])
        self.assertFalse(self.target.exists())
        (self.source / "model.safetensors").write_bytes(safetensors(header, struct.pack("<ff", 1, float("inf"))))
        self.succeed("convert", self.source, self.target, "--dtype", "f16")

    def test_replaces_only_when_told_to(self):
        self.succeed("convert", self.source, self.target)
        before = (self.target / "model.safetensors").read_bytes()
        self.refuse("convert", self.source, self.target, "--dtype", "bf16", says=["target", "--force"])
        self.assertEqual((self.target / "model.safetensors").read_bytes(), before)
        self.succeed("convert", self.source, self.target, "--to", "bin", "--dtype", "bf16", "--force")
        self.assertNotIn("model.safetensors", self.names(self.target))
        (self.folder / "empty").mkdir()
        self.succeed("convert", self.source, self.folder / "empty")
        self.same_files(self.folder / "empty")

    def test_in_place(self):
        self.refuse("convert", self.source, self.source, "--to", "bin", says="--force")
        original = (self.source / "model.safetensors").read_bytes()
        self.succeed("convert", self.source, self.source, "--to", "bin", "--force", "--max-shard-size", "20KB")
        self.assertNotIn("model.safetensors", self.names(self.source))
        self.succeed("convert", self.source, self.source, "--force")
        self.assertEqual((self.source / "model.safetensors").read_bytes(), original)

    def test_report(self):
        report = json.loads(self.succeed("convert", self.source, f"{self.target}/", "--json"))
        self.assertEqual(report["copied"], ["generation_config.json", "merges.txt", "tokenizer.json",
                                            "tokenizer_config.json", "vocab.json"])
        header, data = read_safetensors(self.target / "model.safetensors")
        self.assertEqual(report["bytes"], len(data))
        self.assertEqual(report["tensors"], len(header) - 1)

    def test_bad_arguments(self):
        self.refuse("convert", self.folder / "none", self.target, says="none")
        self.refuse("convert", self.source, self.text, says="text.txt")
        for size in ["0", "-1", "5 GB", "GB", "5XB", "1e9", "99999999999999999999GB", ""]:
            self.refuse("convert", self.source, self.target, f"--max-shard-size={size}")
        self.refuse("convert", self.source, self.target, "--dtype", "i64")
        self.refuse("convert", self.source, self.target, "--to", "onnx")
        (self.source / "config.json").unlink()
        self.refuse("convert", self.source, self.target, says="config.json")
        self.assertFalse(self.target.exists())

    def test_a_damaged_source_leaves_nothing(self):
        weights = (self.source / "model.safetensors").read_bytes()
        (self.source / "model.safetensors").write_bytes(weights[:-1])
        self.refuse("convert", self.source, self.target, says="model.safetensors")
        self.assertFalse(self.target.exists())

    def test_a_full_disk(self):
        for name in ["vocab.json", "merges.txt", "tokenizer.json"]:
            (self.source / name).unlink()
        disk = SmallDisk(self, self.folder / "disk", "120k")
        self.refuse("convert", self.source, disk.path / "target", says=["space"])
        self.assertEqual(self.names(disk.path), [])
        self.succeed("convert", self.source, disk.path / "target", "--dtype", "bf16", "--max-shard-size", "30KB")
        kept = {path.name: path.read_bytes() for path in (disk.path / "target").iterdir()}
        self.refuse("convert", self.source, disk.path / "target", "--force", says=["space"])
        self.assertEqual({path.name: path.read_bytes() for path in (disk.path / "target").iterdir()}, kept)

    def test_memory_stays_near_one_tensor(self):
        if os.environ.get("QKV_SANITIZE"):
            self.skipTest("a sanitizer's shadow memory is more")
        header, offset = {}, 0
        for i in range(40):
            header[f"w{i}"] = {"dtype": "F32", "shape": [2 << 20], "data_offsets": [offset, offset + (8 << 20)]}
            offset += 8 << 20
        (self.source / "model.safetensors").write_bytes(safetensors(header, b"\0" * offset))

        def limit_memory():
            import resource
            resource.setrlimit(resource.RLIMIT_DATA, (160 << 20, 160 << 20))
        self.succeed("convert", self.source, self.target, "--dtype", "bf16", preexec_fn=limit_memory)


if __name__ == "__main__":
    unittest.main()
