"""What the tests of the command share: running it, and what every refusal must look like.

The program's path is in the environment variable QKV.
"""
import json
import os
import shutil
import signal
import struct
import subprocess
import tempfile
import unittest
from pathlib import Path

QKV = os.environ.get("QKV", "build/qkv")
GOLDEN = Path(__file__).resolve().parent.parent / "golden"

# A model that trains in milliseconds.
TINY = ["--tokenizer", "byte", "--layers", "1", "--heads", "2", "--width", "8", "--context", "16", "--batch", "2",
        "--dtype", "f32", "--warmup-steps", "2", "--lr", "0.01", "--threads", "1"]


def words(count, start=0):
    return " ".join(f"word{i * 7919 % 997}" for i in range(start, start + count))


def bash_exit(returncode):
    return 128 - returncode if returncode < 0 else returncode


class CommandTest(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="qkv-command-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.text = self.write("text.txt", words(600))

    def write(self, name, content):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def run_qkv(self, *arguments, stdin=b"", timeout=120, **options):
        return subprocess.run([QKV, *map(str, arguments)], input=stdin, capture_output=True, timeout=timeout, **options)

    def start_qkv(self, *arguments):
        process = subprocess.Popen([QKV, *map(str, arguments)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.addCleanup(process.stderr.close)
        return process

    def succeed(self, *arguments, **options):
        result = self.run_qkv(*arguments, **options)
        self.assertEqual(result.returncode, 0, result.stderr.decode())
        return result.stdout.decode()

    def refuse(self, *arguments, says=(), **options):
        """The command must end with exit code 2 and one message that holds every string of `says`."""
        result = self.run_qkv(*arguments, **options)
        message = result.stderr.decode(errors="replace")
        self.assertEqual(result.returncode, 2, f"{arguments}: exit {result.returncode}\n{message}")
        for part in [says] if isinstance(says, str) else says:
            self.assertIn(part, message)
        self.assertEqual(message.count("qkv: "), 1, message)
        for crash in ("internal error", "terminate called", "Sanitizer", "json.exception", "std::"):
            self.assertNotIn(crash, message)
        self.assertNothingHalfWritten()
        return message

    def assertNothingHalfWritten(self):
        left = [str(path) for path in self.folder.rglob("*.partial")]
        self.assertEqual(left, [])

    def train(self, out="run", *arguments, steps=4):
        self.succeed("train", self.text, "--out", self.folder / out, *TINY, "--steps", steps, *arguments)
        return self.folder / out


def safetensors(header, data=b""):
    """The bytes of a safetensors file; `header` is text, or what becomes its JSON."""
    text = (header if isinstance(header, str) else json.dumps(header)).encode()
    return struct.pack("<Q", len(text)) + text + data


def read_safetensors(path):
    content = path.read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    return json.loads(content[8:8 + length]), content[8 + length:]


def metrics(run):
    """metrics.jsonl without what the clock decides."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    for line in lines:
        line.pop("tokens_per_second", None)
        line.pop("mfu", None)
    return lines


class SmallDisk:
    """A file system of a few kilobytes at `path`; needs root."""

    def __init__(self, test, path, size):
        path.mkdir(parents=True, exist_ok=True)
        mounted = os.geteuid() == 0 and subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", path], capture_output=True).returncode == 0
        if not mounted:
            test.skipTest("needs root, to mount a small disk")
        self.path = path
        test.addCleanup(subprocess.run, ["umount", "-l", path], capture_output=True)

    def make_read_only(self):
        subprocess.run(["mount", "-o", "remount,ro", self.path], check=True)


__all__ = ["CommandTest", "GOLDEN", "QKV", "SmallDisk", "TINY", "Path", "bash_exit", "json", "metrics", "os",
           "read_safetensors", "safetensors", "shutil", "signal", "struct", "subprocess", "unittest", "words"]
