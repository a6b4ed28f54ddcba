"""Disks that are full, directories that are not ours."""
from command import *

import resource


class FullDisk(CommandTest):
    def test_training_stops_with_its_last_state_and_goes_on_later(self):
        straight = self.train("straight", "--eval-every", "5", steps=20)
        disk = self.folder / "disk"
        SmallDisk(self, disk, "200k")
        run = disk / "run"
        arguments = ["train", self.text, "--out", run, *TINY, "--eval-every", "5", "--steps", "20"]
        # Room for the first saves only: something else takes the rest.
        (disk / "filler").write_bytes(b"x" * 120_000)
        message = self.refuse(*arguments)
        self.assertIn("free some disk space", message)
        (disk / "filler").unlink()
        again = ["train", "--resume", run] if (run / "run.toml").exists() else arguments
        self.succeed(*again)
        self.assertEqual((run / "model.safetensors").read_bytes(), (straight / "model.safetensors").read_bytes())
        self.assertEqual(metrics(run), metrics(straight))

    def test_a_file_that_may_not_grow(self):
        run = self.train(steps=4)
        before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}

        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))
        message = self.refuse("train", "--resume", run, "--steps", "8", preexec_fn=limit)
        self.assertIn("ulimit -f", message)
        for path in before:
            if path.name in ("model.safetensors", "state.safetensors", "config.json", "tokenizer.json"):
                self.assertEqual(path.read_bytes(), before[path], path)
        self.succeed("train", "--resume", run, "--steps", "8")

    def test_tokenizers(self):
        disk = self.folder / "disk"
        SmallDisk(self, disk, "8k")
        self.refuse("tokenizer", "train", self.text, "--vocab-size", "400", "--out", disk / "t", says="space")
        for path in (disk / "t").iterdir():
            json.loads(path.read_text())  # whole


class Permissions(CommandTest):
    def lock(self, folder):
        """Makes a folder that nobody may write to, with what is in it."""
        if os.geteuid() == 0:
            copy = self.folder / "locked"
            disk = SmallDisk(self, copy, "4m")
            for path in folder.iterdir():
                (shutil.copytree if path.is_dir() else shutil.copy)(path, copy / path.name)
            disk.make_read_only()
            return copy
        for path in [folder, *(p for p in folder.rglob("*") if p.is_dir())]:
            path.chmod(0o555)
            self.addCleanup(path.chmod, 0o755)
        return folder

    def test_a_new_run(self):
        (self.folder / "place").mkdir()
        place = self.lock(self.folder / "place")
        self.refuse("train", self.text, "--out", place / "run", *TINY, says=[str(place / "run"), "try: choose"])
        self.refuse("train", self.text, "--out", self.text, *TINY, says="text.txt")
        self.refuse("tokenizer", "train", self.text, "--kind", "byte", "--out", place / "t", says=str(place / "t"))

    def test_a_run_that_is_there(self):
        run = self.lock(self.train())
        self.refuse("train", "--resume", run, "--steps", "8", says=[str(run), "try: "])
        # Reading is all that generation needs.
        self.succeed("generate", run, "--prompt", "w", "-q", "-n", "2")
        self.succeed("info", run)


if __name__ == "__main__":
    unittest.main()
