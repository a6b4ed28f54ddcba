"""What every peer's program does: get ready once, then measure whenever bench/run asks.

A line with a number on standard input asks for so many measurements; the answer is one line of JSON. So a peer pays its
imports and its compilation once, and still takes turns with qkv.
"""
import json
import resource
import sys
import time


def seconds(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def peak_bytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def serve(measure, about):
    """`measure(count)` returns a dictionary of lists; `about` (versions, settings) is said first."""
    print(json.dumps(about), flush=True)
    for line in sys.stdin:
        print(json.dumps(measure(int(line)) | {"peak_bytes": peak_bytes()}), flush=True)
