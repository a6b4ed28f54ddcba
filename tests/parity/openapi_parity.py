"""Schemathesis over qkv's own /openapi.json: no request that it makes up, right or wrong by the document, may be our mistake
(a status of 5xx) or stop the server.

    scripts/with-python tests/parity/openapi_parity.py --qkv build/qkv

The last line is "N passed, N failed", counted in requests.
"""
import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile

from served import KEY, ROOT, Server, offered_models

SECONDS = 45
HERE = pathlib.Path(__file__).resolve().parent


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--qkv", default=str(ROOT / "build" / "qkv"))
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        with Server(options.qkv, *offered_models(folder), "--data", f"{folder}/data", "--threads", "1") as server:
            base = server.url.removesuffix("/v1")
            command = [pathlib.Path(sys.executable).parent / "schemathesis", "run", f"{base}/openapi.json", "--seed",
                       options.seed, "-H", f"Authorization: Bearer {KEY}", "--checks", "not_a_server_error", "--phases",
                       "coverage,fuzzing", "--max-time", SECONDS, "--request-timeout", "20", "--no-color", "--warnings",
                       "off", "--generation-database", "none"]
            done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, text=True, timeout=4 * SECONDS,
                                  env=os.environ | {"SCHEMATHESIS_HOOKS": "openapi_hooks", "PYTHONPATH": str(HERE)},
                                  cwd=folder, check=False)
            alive = server.process.poll() is None
    counts = re.search(r"(\d+) generated(?:, (\d+) passed)?(?:, \D*(\d+) \D*failed)?", done.stdout)
    failed = int(counts[3] or 0) if counts else 1
    if done.returncode != 0 or not alive:
        print(done.stdout)
        failed = max(failed, 1)
    print(f"{int(counts[2] or 0) if counts else 0} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
