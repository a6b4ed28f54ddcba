"""Those who are measured: programs that run afresh for every round, and peers that stay ready between rounds."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

BENCH = pathlib.Path(__file__).resolve().parent
THREADS = 2
DEVICE = os.environ.get("QKV_DEVICE") or "cpu"  # where all of them compute
ON_DEVICES = ("torch_train.py", "torch_generate.py", "torch_family.py", "torch_limits.py", "encoder.py", "sentence_encoder.py",
              "ct2_translate.py")  # the others have nothing to do there


def environment(threads):
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS")
    return os.environ | dict.fromkeys(names, str(threads)) | {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}


class Unavailable(Exception):
    """A contestant that cannot run here; its message stands in the table instead of a figure."""


class Command:
    """Runs a command to its end for each round: how long it took, and the memory it held."""

    def __init__(self, name, command, threads=THREADS):
        self.name, self.command, self.threads = name, [str(word) for word in command], threads
        self.about = {}

    def measure(self):
        with tempfile.TemporaryFile() as errors:
            start = time.perf_counter()
            process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors,
                                       env=environment(self.threads))
            out = process.stdout.read()
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - start
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode != 0:
                errors.seek(0)
                said = errors.read().decode(errors="replace").strip().splitlines()
                raise Unavailable(said[-1] if said else f"{self.name}: exit {process.returncode}")
        return {"out": out, "seconds": seconds, "peak_bytes": usage.ru_maxrss * 1024}

    def close(self):
        pass


class Program(Command):
    """A command that prints its own figures: JSON, or what `parse` makes of it."""

    def __init__(self, name, command, threads=THREADS, parse=json.loads):
        super().__init__(name, command, threads)
        self.parse = parse

    def measure(self):
        done = super().measure()
        result = self.parse(done["out"].decode())
        if DEVICE != "cpu" and isinstance(result, dict) and "peak_memory" in result:
            done["peak_bytes"] = result["peak_memory"]
        return {"result": result, "peak_bytes": done["peak_bytes"]}


class Peer:
    """One of bench/peers/*.py: started once, then asked for `count` measurements each round."""

    def __init__(self, name, script, arguments, count, threads=THREADS):
        self.name, self.count = name, count
        device = ["--device", DEVICE] if script in ON_DEVICES else []
        self.command = [sys.executable, str(BENCH / "peers" / script), *map(str, arguments), *device]
        self.errors = open(os.devnull, "w", encoding="utf-8") if not os.environ.get("QKV_BENCH_VERBOSE") else None
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors,
                                        text=True, env=environment(threads))
        self.about = self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise Unavailable(f"{self.name} stopped (set QKV_BENCH_VERBOSE=1 to see why)")
        return json.loads(line)

    def measure(self):
        self.process.stdin.write(f"{self.count}\n")
        self.process.stdin.flush()
        result = self.answer()
        return {"result": result, "peak_bytes": result["peak_bytes"]}

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
        if self.errors:
            self.errors.close()


def take_turns(contestants, rounds):
    """Name -> list of results; in every round each contestant has one turn, so that a slow minute of the machine
    touches all of them."""
    results = {contestant.name: [] for contestant in contestants}
    for _ in range(rounds):
        for contestant in contestants:
            results[contestant.name].append(contestant.measure())
    return results
