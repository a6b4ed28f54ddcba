"""What every peer's program does: get ready once, then measure whenever bench/run asks.

A line with a number on standard input asks for so many measurements; the answer is one line of JSON. So a peer pays its
imports and its compilation once, and still takes turns with qkv.
"""
import json
import resource
import sys
import time


def wait():
    """Until the device has done what it was given; the CPU has."""


def most_memory():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def on_device(name):
    """torch's device of that name; times include all its work from now on, and memory is its own."""
    global wait, most_memory
    import torch
    device = torch.device(name)
    if device.type == "cuda":
        torch.cuda.set_device(device)
        wait, most_memory = torch.cuda.synchronize, torch.cuda.max_memory_allocated
    return device


def seconds(work):
    wait()
    start = time.perf_counter()
    work()
    wait()
    return time.perf_counter() - start


def serve(measure, about):
    """`measure(count)` returns a dictionary of lists; `about` (versions, settings) is said first."""
    print(json.dumps(about), flush=True)
    for line in sys.stdin:
        print(json.dumps(measure(int(line)) | {"peak_bytes": most_memory()}), flush=True)
