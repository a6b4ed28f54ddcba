#!/usr/bin/env python3
"""Live comparison of Transformer-XL's words with sacremoses, whose steps transformers' TransfoXLTokenizer took.

    python tests/parity/moses_parity.py --qkv build/qkv [--seed 1] [--strings 4000]

Random texts of words with punctuation, quotes, numbers and abbreviations must be cut into the same words. A few in a
thousand may differ, where apostrophes follow one another and where Moses knows an abbreviation that qkv does not. Prints
"N passed, N failed"; exits 1 on failure.
"""
import argparse
import json
import pathlib
import random
import re
import subprocess
import sys
import tempfile

from sacremoses import MosesPunctNormalizer, MosesTokenizer

ROOT = pathlib.Path(__file__).resolve().parents[2]
MOST_THAT_DIFFER = 0.003
WORDS = ("the A river's dogs' don't 'tis 5,300 1.73 3.14.15 foo-bar co-op U.S. e.g. Mr. Dr. No. 7 end. (in brackets) "
         "\"quoted\" \"end.\" \"end,\" -- — – … ... .. naïve Zürich's 東京 вода € $5 50% a/b x@y.com it's the '90s 1990's "
         "rock'n'roll : ; ! ? [a] {b} <c> & * # ~ '' “q” ‘q’ « fr » n't. vs. St. a,b 1,b a,1 ,5 7, A.B. i.e. O'Neill").split(" ")
NORMALIZER, TOKENIZER = MosesPunctNormalizer("en"), MosesTokenizer("en")


def reference(text):
    words = TOKENIZER.tokenize(NORMALIZER.normalize(text), aggressive_dash_splits=True, return_str=False, escape=False)
    return [part for word in words for part in re.sub(r"(?<=\d)[,.](?=\d)", r" @\g<0>@ ", word).split()]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--qkv", default=str(ROOT / "build/qkv"))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--strings", type=int, default=4000)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    texts = []
    for _ in range(options.strings):
        text = " ".join(rng.choice(WORDS) for _ in range(rng.randint(1, 8)))
        texts.append(text.replace(" ", "", 1) if rng.random() < 0.3 else text)
    wanted = [reference(text) for text in texts]
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        vocabulary = dict.fromkeys(["<eos>", "<unk>", *(word for words in wanted for word in words)])
        (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
        (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "TransfoXLTokenizer"}')
        done = subprocess.run([options.qkv, "tokenize", str(folder), "--jsonl"], capture_output=True, check=False,
                              input="".join(json.dumps({"text": text}) + "\n" for text in texts).encode())
    lines = [json.loads(line) for line in done.stdout.decode().splitlines()]
    if len(lines) != len(texts):
        sys.exit(f"{len(lines)} results for {len(texts)} texts: {done.stderr.decode()}")
    differ = [(text, line["tokens"], words) for text, line, words in zip(texts, lines, wanted) if line["tokens"] != words]
    for text, ours, theirs in differ[:20]:
        print(f"differs: {text!r}\n  qkv   {ours}\n  Moses {theirs}")
    failed = len(differ) > MOST_THAT_DIFFER * len(texts)
    print(f"{len(texts) - len(differ)} of {len(texts)} texts are cut alike")
    print(f"{0 if failed else 1} passed, {1 if failed else 0} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
