"""`qkv serve` against OpenAI's own JavaScript client.

    scripts/with-python tests/parity/javascript_parity.py --qkv build/qkv

Node.js and npm are installed where they are missing, and the client under tests/parity/javascript. The last line is
"N passed, N failed".
"""
import argparse
import subprocess
import sys
import tempfile

from served import KEY, ROOT, Server, offered_models


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--qkv", default=str(ROOT / "build" / "qkv"))
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        with Server(options.qkv, *offered_models(folder)) as server:
            done = subprocess.run([ROOT / "scripts/with-node", "tests/parity/javascript/client.js", server.url, KEY],
                                  timeout=300, check=False)
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
