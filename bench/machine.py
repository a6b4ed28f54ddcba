"""What the figures were taken on."""
import importlib.metadata
import os
import pathlib
import platform
import subprocess

from contestants import DEVICE


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def instructions():
    flags = next((line.split(":", 1)[1].split() for line in
                  pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if line.startswith("flags")), [])
    return [flag for flag in ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16", "amx_int8") if flag in flags]


def memory_gib():
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)


def card():
    try:
        shown = subprocess.run(["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"], capture_output=True,
                               text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return shown.stdout.strip()


def versions():
    found = {}
    for package in ("torch", "transformers", "tokenizers", "tiktoken", "sentence-transformers", "onnxruntime",
                    "ctranslate2", "sentencepiece"):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = None
    return found


def describe(qkv):
    shown = subprocess.run([qkv, "--version"], capture_output=True, text=True, check=True)
    return {"processor": processor(), "cores": os.cpu_count(), "instructions": instructions(), "memory_gib": memory_gib(),
            "system": f"{platform.system()} {platform.release()}", "python": platform.python_version(),
            "qkv": shown.stdout.strip(), "device": DEVICE, **({} if DEVICE == "cpu" else {"card": card()}), **versions()}
