"""Runs that are interrupted, killed, resumed and mistaken for others."""
import random
import time

from command import *

STEPS = 120
KINDS = {
    "plain": [],
    "accumulated with dropout": ["--accumulate", "3", "--dropout", "0.2", "--optimizer", "muon"],
    "llama, random windows": ["--family", "llama", "--sampling", "random", "--optimizer", "lion", "--lr", "0.001"],
    "masked": ["--family", "bert", "--dropout", "0.1", "--tokenizer", "bpe", "--vocab-size", "270"],
}


class Resume(CommandTest):
    def arguments(self, run, kind=()):
        # Lines, evaluations and saves that do not divide each other.
        return ["train", self.text, "--out", run, *TINY, *kind, "--steps", STEPS, "--log-every", "7", "--eval-every",
                "25", "--save-every", "4", "--eval-batches", "3"]

    def assert_same(self, run, straight):
        self.assertEqual(metrics(run), metrics(straight))
        for name in ["model.safetensors", "config.json", "generation_config.json", "tokenizer.json",
                     "state/state.safetensors"]:
            if (straight / name).exists():
                self.assertEqual((run / name).read_bytes(), (straight / name).read_bytes(), name)
        self.assertEqual([str(path) for path in run.rglob("*.partial")], [])

    def test_killed_at_any_moment(self):
        chance = random.Random(20240607)
        for name, kind in KINDS.items():
            with self.subTest(name):
                straight = self.folder / f"straight {name}"
                begin = time.monotonic()
                self.succeed(*self.arguments(straight, kind))
                whole = time.monotonic() - begin
                run = self.folder / f"killed {name}"
                kills = 0
                for _ in range(200):
                    begun = (run / "run.toml").exists()
                    process = self.start_qkv(*(["train", "--resume", run] if begun else self.arguments(run, kind)))
                    try:
                        process.wait(timeout=chance.uniform(0, whole) if kills < 6 else 120)
                    except subprocess.TimeoutExpired:
                        process.kill()
                        process.wait()
                        kills += 1
                        continue
                    self.assertEqual(process.returncode, 0, process.stderr.read())
                    if kills >= 4:
                        break
                    shutil.rmtree(run)
                self.assertGreaterEqual(kills, 4)
                self.assert_same(run, straight)

    def test_ctrl_c_saves_and_stops(self):
        straight = self.folder / "straight"
        self.succeed(*self.arguments(straight, ["--dropout", "0.1"]))
        for stop in [signal.SIGINT, signal.SIGTERM]:
            run = self.folder / f"stopped {stop}"
            process = self.start_qkv(*self.arguments(run, ["--dropout", "0.1", "--steps", "100000"]))
            while not (run / "state" / "state.safetensors").exists() and process.poll() is None:
                time.sleep(0.01)
            process.send_signal(stop)
            message = process.stderr.read().decode()
            self.assertEqual(process.wait(timeout=60), 130, message)
            self.assertIn("continue with: qkv train --resume", message)
            self.succeed("generate", run, "--prompt", "w", "-q", "-n", "2")
            done = int(message.split("stopped at step ")[1].split(";")[0])
            self.succeed("train", "--resume", run, "--steps", max(done + 10, STEPS))

    def test_a_resumed_run_is_the_straight_one(self):
        straight = self.folder / "straight"
        self.succeed(*self.arguments(straight, ["--schedule", "constant"]))
        run = self.folder / "run"
        self.succeed(*self.arguments(run, ["--schedule", "constant", "--steps", "33"]))
        self.succeed("train", "--resume", run, "--steps", STEPS)
        self.assertEqual((run / "model.safetensors").read_bytes(), (straight / "model.safetensors").read_bytes())

    def test_a_finished_run_has_nothing_to_do(self):
        run = self.train()
        before = (run / "model.safetensors").read_bytes()
        self.succeed("train", "--resume", run)
        self.assertEqual((run / "model.safetensors").read_bytes(), before)

    def test_the_type_of_numbers_is_decided_once(self):
        arguments = [word for word in TINY if word not in ("--dtype", "f32")]
        run = self.folder / "run"
        self.succeed("train", self.text, "--out", run, *arguments, "--steps", "2")
        self.assertRegex((run / "run.toml").read_text(), 'dtype = "(f32|bf16)"')

    def test_texts_with_odd_names(self):
        for number, name in enumerate(["with space #1.txt", "it's.txt", '"quoted" \\ path.txt', "[x].txt", "a,b.txt",
                                       "it's [odd], \"this\".txt", "true", "12"]):
            with self.subTest(name):
                run = self.folder / f"run {number}"
                odd = self.write(name, words(300))
                result = self.run_qkv("train", odd, self.text, "--out", run, *TINY, "--steps", "2")
                if result.returncode == 0:
                    self.succeed("train", "--resume", run, "--steps", "4")
                else:  # what cannot be kept is refused before it is begun
                    self.assertEqual(result.returncode, 2)
                    self.assertIn(b"rename the file", result.stderr)
                    self.assertFalse(run.exists())


class WrongDirectory(CommandTest):
    def test_no_run(self):
        self.refuse("train", "--resume", self.folder / "none", says=["none", "run.toml"])
        (self.folder / "empty").mkdir()
        self.refuse("train", "--resume", self.folder / "empty", says=["empty", "run.toml"])
        self.assertEqual(list((self.folder / "empty").iterdir()), [])

    def test_a_run_is_not_overwritten(self):
        run = self.train()
        before = (run / "state" / "state.safetensors").read_bytes()
        self.refuse("train", self.text, "--out", run, *TINY, says=["already holds a run", f"--resume {run}"])
        self.assertEqual((run / "state" / "state.safetensors").read_bytes(), before)

    def test_another_model(self):
        run = self.train()
        before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
        for options in [["--width", "16"], ["--layers", "2"], ["--family", "llama"], ["--untied"]]:
            with self.subTest(options):
                self.refuse("train", "--resume", run, "--steps", "9", *options, says=[str(run), "another model"])
        self.refuse("train", "--resume", run, "--steps", "9", "--optimizer", "lion", says="optimizer")
        for path, content in before.items():
            self.assertEqual(path.read_bytes(), content, path)

    def test_a_damaged_state(self):
        run = self.train()
        state = run / "state" / "state.safetensors"
        whole = state.read_bytes()
        for content in [b"", whole[:100], whole[:-1], safetensors({}), struct.pack("<Q", 2**40) + b"{}"]:
            with self.subTest(len(content)):
                state.write_bytes(content)
                self.refuse("train", "--resume", run, "--steps", "9", says=str(run))

    def test_damaged_options(self):
        run = self.train()
        (run / "run.toml").write_text("widht = 8\n")
        self.refuse("train", "--resume", run, says=["run.toml", "widht", "width"])


if __name__ == "__main__":
    unittest.main()
