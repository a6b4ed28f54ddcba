"""Help, versions, options: on the command line and in files."""
import re

from command import *


class Help(CommandTest):
    def commands(self):
        text = self.succeed("--help")
        listed = text[text.index("Start here:"):].split("Examples:")[0]
        names = re.findall(r"^  ([a-z][a-z-]*)  ", listed, re.M)
        self.assertGreater(len(names), 5, text)
        return names

    def test_every_command_shows_an_example(self):
        self.assertIn("Example", self.succeed("--help"))
        for name in self.commands():
            with self.subTest(name):
                self.assertIn("Example", self.succeed(name, "--help"))
        self.assertIn("Example", self.succeed("tokenizer", "train", "--help"))

    def test_version(self):
        self.assertRegex(self.succeed("--version"), r"^qkv \d+\.\d+\.\d+\n$")

    def test_no_command(self):
        self.refuse(says=["SUBCOMMAND", "Start here:", "demo"])

    def test_unknown_command_suggests_the_nearest(self):
        self.refuse("trian", says=["trian", "did you mean 'train'?"])
        self.refuse("generat", says="did you mean 'generate'?")


class Options(CommandTest):
    def test_unknown_option_suggests_the_nearest(self):
        self.refuse("train", self.text, "--out", self.folder / "run", "--stesp", "3",
                    says=["--stesp", "did you mean '--steps'?", "qkv train --help"])
        self.refuse("train", self.text, "--out", self.folder / "run", "--batchs=3", says="did you mean '--batch'?")
        self.refuse("generate", "x", "--temprature", "1", says="did you mean '--temperature'?")
        self.assertFalse((self.folder / "run").exists())

    def test_values_that_make_no_sense(self):
        for option, value in [("--steps", "0"), ("--steps", "-3"), ("--steps", "many"), ("--steps", "1.5"),
                              ("--steps", "99999999999999999999"), ("--lr", "0"), ("--lr", "nan"), ("--lr", "inf"),
                              ("--min-lr", "nan"), ("--weight-decay", "inf"), ("--clip", "nan"), ("--dropout", "1"),
                              ("--dropout", "nan"), ("--val-fraction", "2"), ("--optimizer", "adam"),
                              ("--threads", "0"), ("--dtype", "f8"), ("--seed", "-1"), ("--schedule", "none")]:
            with self.subTest(f"{option} {value}"):
                self.refuse("train", self.text, "--out", self.folder / "run", *TINY, "--steps", "2", option, value, says=option)
                self.assertFalse((self.folder / "run").exists())

    def test_options_that_do_not_go_together(self):
        train = ["train", self.text, "--out", self.folder / "run", *TINY, "--steps", "2", "--stochastic-rounding"]
        self.refuse(*train, says=["--stochastic-rounding", "f32", "--dtype bf16"])
        train[train.index("f32")] = "bf16"
        self.refuse(*train, "--optimizer", "muon", says=["--stochastic-rounding", "muon"])
        self.assertFalse((self.folder / "run").exists())
        self.succeed(*train)
        self.assertTrue((self.folder / "run" / "model.safetensors").exists())

    def test_devices(self):
        devices = self.succeed("info", "--devices")
        self.assertRegex(devices, r"(?m)^cpu +\d+ threads")
        self.assertRegex(devices, r"(?m)^cuda")
        model = GOLDEN / "models" / "gpt2"
        self.refuse("verify", model, "--device", "gpu", says=["gpu", "cpu, cuda, or cuda:N"])
        self.refuse("verify", model, env={**os.environ, "QKV_DEVICE": "tpu"}, says=["tpu", "cpu, cuda, or cuda:N"])
        self.assertIn("agree", self.succeed("verify", model, "--device", "cpu", env={**os.environ, "QKV_DEVICE": "cpu"}))
        self.assertIn("agree", self.succeed("verify", model, "--device", "cpu", "--tf32"))
        self.refuse("verify", model, "--device", "cpu", "--dtype", "f16", says=["f16", "--device cuda"])
        if why := re.search(r"(?m)^cuda +none: (.+)$", devices):
            for verb in [["verify", model], ["generate", model], ["train", self.text, "--out", self.folder / "run"]]:
                self.refuse(*verb, "--device", "cuda", says=["cuda", why[1], "--device cpu"])
            self.assertFalse((self.folder / "run").exists())

    def test_missing_value_and_missing_argument(self):
        self.refuse("train", self.text, "--out", says="--out")
        self.refuse("train", self.text, says="--out")
        self.refuse("train", "--out", self.folder / "run", says="text")
        self.refuse("generate", says="model")
        self.assertFalse((self.folder / "run").exists())

    def test_models_larger_than_the_machine(self):
        for sizes in [["--width", "1000000"], ["--layers", "2000000000"], ["--context", "2000000000"],
                      ["--feed-forward", "2000000000"], ["--width", "2147483646"]]:
            with self.subTest(sizes):
                self.refuse("train", self.text, "--out", self.folder / "run", *TINY, *sizes)

    def test_sizes_that_contradict(self):
        self.refuse("train", self.text, "--out", self.folder / "run", *TINY, "--heads", "3", says="not divisible")
        self.refuse("train", self.text, "--out", self.folder / "run", *TINY, "--family", "lama",
                    says="did you mean 'llama'?")
        self.assertFalse((self.folder / "run").exists())


class OptionsFile(CommandTest):
    def train_with(self, toml, *arguments):
        steps = [] if b"steps" in (toml if isinstance(toml, bytes) else toml.encode()) else ["--steps", "2"]
        return ["train", self.text, "--out", self.folder / "run", *TINY, "--config", self.write("o.toml", toml), *steps,
                *arguments]

    def test_options_come_from_the_file_and_the_command_line_wins(self):
        self.succeed(*self.train_with("steps = 3\nseed = 9\nlabel_smoothing = 0.1\nuntied = true\n", "--seed", "5"))
        run = (self.folder / "run" / "run.toml").read_text()
        for line in ["steps = 3", "seed = 5", "label-smoothing = 0.1", "untied = true"]:
            self.assertIn(line + "\n", run)

    def test_unknown_key_suggests_the_nearest(self):
        self.refuse(*self.train_with("stesp = 3\n"), says=["o.toml", "'stesp'", "did you mean 'steps'?"])
        self.refuse(*self.train_with("config = \"x\"\n"), says="'config'")
        self.refuse(*self.train_with("[model]\nnonsense_of_mine = 3\n"), says="nonsense_of_mine")

    def test_values_are_checked_as_on_the_command_line(self):
        for line in ["steps = -3", "steps = \"many\"", "min_lr = nan", "dropout = 1.5", "optimizer = \"adam\"",
                     "untied = \"perhaps\"", "steps = [1, 2]", "steps = 99999999999999999999"]:
            with self.subTest(line):
                self.refuse(*self.train_with(line + "\n"), says=["o.toml", line.split(" ")[0]])
                self.assertFalse((self.folder / "run").exists())

    def test_files_that_are_not_toml(self):
        for content in ["steps", "= 3", "\0\0\0", b"\xff\xfe", "steps = 'open", "[[[", "untied =[t", "steps = 1\nsteps = 2",
                        "steps = 2026-11-24"]:
            with self.subTest(content):
                self.refuse(*self.train_with(content), says="o.toml")

    def test_an_option_in_two_sections(self):
        self.refuse(*self.train_with("[a]\nseed = 1\n[b]\nseed = 2\n"), says=["o.toml", "seed", "twice"])

    def test_any_file_name_is_kept(self):
        for name in ["1.0", "a, [b] 'c' \"d\".txt", "back\\slash", "true"]:
            with self.subTest(name):
                text = self.folder / name
                text.write_bytes(Path(self.text).read_bytes())
                out = self.folder / "run"
                self.succeed("train", name, "--out", out, *TINY, "--steps", "2", cwd=self.folder)
                self.succeed("train", "--resume", out, "--steps", "3", cwd=self.folder)
                shutil.rmtree(out)

    def test_a_file_that_is_not_there(self):
        self.refuse("train", self.text, "--config", self.folder / "none.toml", says=["none.toml", "no such file"])
        self.refuse("train", self.text, "--config", self.folder, says=str(self.folder))


class Output(CommandTest):
    def test_a_full_disk_behind_standard_output(self):
        with open("/dev/full", "wb") as full:
            result = subprocess.run([QKV, "info", "--families"], stdout=full, stderr=subprocess.PIPE)
        self.assertEqual(result.returncode, 2)
        self.assertIn(b"standard output", result.stderr)

    def test_a_reader_that_leaves_is_no_error(self):
        read, write = os.pipe()
        os.close(read)
        result = subprocess.run([QKV, "info", "--families"], stdout=write, stderr=subprocess.PIPE)
        os.close(write)
        self.assertEqual(result.stderr, b"")


if __name__ == "__main__":
    unittest.main()
