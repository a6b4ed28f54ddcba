#!/usr/bin/env python3
"""Live comparison of qkv's tokenizers with the Hugging Face `tokenizers` library and with SentencePiece.

    pip install tokenizers sentencepiece
    python tests/parity/tokenizers_parity.py --qkv build/qkv [--strings 10000] [--text book.txt ...] [DIR ...]

For every tokenizer directory (those of tests/golden/tokenizers when none is named): random Unicode strings must give the
same ids, tokens, offsets, type ids and decoded text. So must small pipelines made of every normalizer, pre-tokenizer,
model, post-processor and decoder there is. Then tokenizers are trained: BPE merges must be the library's, and
the saved tokenizer.json must load there and encode the same. Prints "N passed, N failed"; exits 1 on failure.
"""
import argparse
import json
import pathlib
import random
import subprocess
import sys
import tempfile
import unicodedata

import sentencepiece
from pydoc_data.topics import topics  # prose that comes with Python
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

import tokenizer_pipelines

ROOT = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests/golden/tokenizers"
WORDS = """the of and a to in he she it's they'll I'm we've you're don't WHO'S 'S 'LL hello world Transformer attention
naïve café Zürich ﬁne ﬀ Straße ΣΊΣΥΦΟΣ İstanbul привет мир 世界 你好 こんにちは ｶﾞｷﾞ 안녕하세요 हिन्दी สวัสดี שלום مرحبا
ǅ Å Å 12 345 6789 1234567 ½ ² ①  e.g. U.S. http://a.b/c?d=e#f x=y+z (((( )))) --- ... !? ''' \"\" `` #$%^&*~|<> 👍🏽 👨‍👩‍👧 🇩🇪
[MASK] <mask> <|endoftext|> [CLS] <s> </s> [UNK] <unk> <0x41> ▁ ▁▁ Ġ Ċ ## ##ing </w>""".split()
SPACES = [" ", " ", " ", "  ", "   ", "\n", "\n\n", "\r\n", "\t", " \n ", "\u00a0", "\u3000", "\u2028", "\x0b", "\x85", "\u200b", ""]


def assigned():
    """Code points that every library's Unicode version knows, by rough kind so that rare kinds come up."""
    kinds = {}
    for c in range(1, 0x110000):
        category = unicodedata.category(chr(c))
        if category in ("Cs", "Cn", "Co"):
            continue
        kinds.setdefault(category, []).append(chr(c))
    return list(kinds.values())


def random_strings(count, seed):
    rng = random.Random(seed)
    kinds = assigned()
    strings = []
    for _ in range(count):
        parts = []
        for _ in range(rng.randint(1, 12)):
            roll = rng.random()
            if roll < 0.35:
                parts.append(rng.choice(WORDS))
            elif roll < 0.55:
                parts.append(rng.choice(SPACES))
            elif roll < 0.75:
                parts.append("".join(chr(rng.randint(32, 126)) for _ in range(rng.randint(1, 8))))
            elif roll < 0.85:
                parts.append("".join(chr(rng.randint(0xA0, 0x24F)) for _ in range(rng.randint(1, 4))))
            else:
                parts.append("".join(rng.choice(rng.choice(kinds)) for _ in range(rng.randint(1, 4))))
        strings.append(rng.choice(["", " "]).join(parts))
    return strings


class Tally:
    passed = 0
    failed = 0

    def check(self, what, ours, theirs):
        if ours == theirs:
            self.passed += 1
            return
        self.failed += 1
        if self.failed <= 20:
            print(f"FAIL {what}\n  qkv  {ours}\n  theirs {theirs}", file=sys.stderr)


def ours(qkv, directory, strings, pairs, *options):
    lines = [json.dumps({"text": a} if b is None else {"text": a, "pair": b}) for a, b in zip(strings, pairs)]
    done = subprocess.run([qkv, "tokenize", str(directory), "--jsonl", *(options or ["--decode"])], input="\n".join(lines) + "\n",
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"qkv tokenize {directory}: {done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def theirs(tokenizer, text, pair):
    encoding = tokenizer.encode(text, pair) if pair is not None else tokenizer.encode(text)
    result = {"ids": encoding.ids, "tokens": encoding.tokens, "offsets": [list(o) for o in encoding.offsets],
              "decoded": tokenizer.decode(encoding.ids, skip_special_tokens=False),
              "decoded_clean": tokenizer.decode(encoding.ids)}
    if pair is not None:
        result["type_ids"] = encoding.type_ids
    return result


def compare(tally, qkv, directory, tokenizer, strings, name):
    rng = random.Random(name)
    pairs = [rng.choice(strings) if rng.random() < 0.1 else None for _ in strings]
    results = ours(qkv, directory, strings, pairs)
    tally.check(f"{name}: number of results", len(results), len(strings))
    before = tally.failed
    for text, pair, mine in zip(strings, pairs, results):
        tally.check(f"{name} {ascii(text)} {ascii(pair)}", mine, theirs(tokenizer, text, pair))
    print(f"{name}: {len(strings)} strings, {tally.failed - before} differ")


def sentencepiece_theirs(processor, text):
    """SentencePiece counts bytes of UTF-8; we count characters."""
    at, place = {0: 0}, 0
    for i, c in enumerate(text):
        place += len(c.encode())
        at[place] = i + 1
    pieces = processor.encode(text, return_type="proto").pieces
    ids = [piece.id for piece in pieces]
    return {"ids": ids, "tokens": [piece.piece for piece in pieces],
            "offsets": [[at[piece.begin], at[piece.end]] for piece in pieces], "decoded": processor.decode(ids)}


def compare_sentencepiece(tally, qkv, path, strings):
    processor = sentencepiece.SentencePieceProcessor(model_file=str(path))
    before = tally.failed
    for text, mine in zip(strings, ours(qkv, path, strings, [None] * len(strings))):
        del mine["decoded_clean"]
        tally.check(f"{path.parent.name}/{path.name} {ascii(text)}", mine, sentencepiece_theirs(processor, text))
    print(f"{path.parent.name}/{path.name}: {len(strings)} strings, {tally.failed - before} differ")


def compare_pipelines(tally, qkv, strings):
    """Every component of the pipeline, in small tokenizers of their own."""
    with tempfile.TemporaryDirectory() as folder:
        for name, tokenizer in tokenizer_pipelines.pipelines(GOLDEN):
            directory = pathlib.Path(folder) / name
            directory.mkdir()
            (directory / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
            compare(tally, qkv, directory, Tokenizer.from_file(str(directory / "tokenizer.json")), strings, name)


def with_limits(encoding, whole=True):
    """The library nests parts in parts a second time, which adds nothing; and in a part of the second text it forgets the
    type ids of a template."""
    result = {"ids": encoding.ids, "tokens": encoding.tokens, "offsets": [list(o) for o in encoding.offsets],
              "attention_mask": encoding.attention_mask}
    if whole:
        result["type_ids"] = encoding.type_ids
        result["overflowing"] = [with_limits(part, False) for part in encoding.overflowing]
    return result


def compare_limits(tally, qkv, strings):
    """Truncation and padding, in batches of a few."""
    batch = 5
    with tempfile.TemporaryDirectory() as folder:
        for name, description in tokenizer_pipelines.limits(GOLDEN):
            directory = pathlib.Path(folder) / name
            directory.mkdir()
            (directory / "tokenizer.json").write_text(json.dumps(description), encoding="utf-8")
            tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
            rng = random.Random(name)
            inputs = []
            for text in strings:
                given = (text, rng.choice(strings)) if rng.random() < 0.5 else (text, None)
                try:
                    tokenizer.encode(*given)
                except BaseException:  # the text that the strategy names is too short or not there
                    continue
                inputs.append(given)
            expected = []
            for i in range(0, len(inputs), batch):
                part = [first if second is None else (first, second) for first, second in inputs[i:i + batch]]
                expected += [with_limits(encoding) for encoding in tokenizer.encode_batch(part)]
            before = tally.failed
            results = ours(qkv, directory, [a for a, _ in inputs], [b for _, b in inputs], "--limits", "--batch", str(batch))
            tally.check(f"{name}: number of results", len(results), len(expected))
            for given, mine, other in zip(inputs, results, expected):
                mine["overflowing"] = [{key: value for key, value in part.items() if key not in ("type_ids", "overflowing")}
                                       for part in mine["overflowing"]]
                tally.check(f"{name} {ascii(given)}", mine, other)
            print(f"{name}: {len(inputs)} inputs, {tally.failed - before} differ")


def corpus(texts, directory):
    """The given books, and the golden cases, one file."""
    parts = [pathlib.Path(path).read_text(encoding="utf-8") for path in texts]
    for path in sorted(GOLDEN.glob("*/cases.jsonl")):
        with open(path, encoding="utf-8") as lines:
            parts += [json.loads(line)["text"] for line in lines]
    target = directory / "corpus.txt"
    target.write_text("\n".join(parts), encoding="utf-8", newline="")
    return target


def train_qkv(qkv, kind, out, corpus_file, *options):
    subprocess.run([qkv, "tokenizer", "train", "--kind", kind, "--out", str(out), *options, str(corpus_file)],
                   check=True, capture_output=True)


def check_wordpiece(tally, qkv, text, folder):
    """The library orders equal merges by chance, so all but a few tokens must be the same."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    train_qkv(qkv, "wordpiece", folder / "wp", text, "--vocab-size", "4000")
    reference = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    reference.normalizer = normalizers.BertNormalizer(lowercase=True)
    reference.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    reference.train([str(text)], trainers.WordPieceTrainer(vocab_size=4000, min_frequency=2, special_tokens=special,
                                                           show_progress=False))
    mine, other = (set(t.get_vocab()) for t in (Tokenizer.from_file(str(folder / "wp/tokenizer.json")), reference))
    print(f"WordPiece training to 4000: {len(mine & other)} of {len(other)} tokens in common")
    tally.check("WordPiece vocabulary", len(mine) == len(other) and len(mine & other) >= 0.97 * len(other), True)


def log_likelihood(tokenizer, lines):
    scores = dict(json.loads(tokenizer.to_str())["model"]["vocab"])
    return sum(scores.get(token, -20.0) for line in lines for token in tokenizer.encode(line, add_special_tokens=False).tokens)


def check_unigram(tally, qkv, text, folder):
    """The text must be as likely under our pieces as under the library's, within 1 %."""
    train_qkv(qkv, "unigram", folder / "uni", text, "--vocab-size", "4000")
    mine = Tokenizer.from_file(str(folder / "uni/tokenizer.json"))
    reference = Tokenizer(models.Unigram())
    reference.normalizer, reference.pre_tokenizer = mine.normalizer, mine.pre_tokenizer
    reference.train([str(text)], trainers.UnigramTrainer(vocab_size=4000, special_tokens=["<|endoftext|>", "<unk>"],
                                                         unk_token="<unk>", show_progress=False))
    lines = text.read_text(encoding="utf-8").split("\n")
    ours_, theirs_ = log_likelihood(mine, lines), log_likelihood(reference, lines)
    print(f"Unigram training to 4000: log-likelihood {ours_:.0f}, the library's {theirs_:.0f}")
    tally.check("likelihood under the unigram model", ours_ >= 1.01 * theirs_, True)


def check_training(tally, qkv, texts, strings):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        text = corpus(texts, folder)
        for size, frequency in [(300, 0), (1000, 2), (5000, 0), (8000, 2), (20000, 1)]:
            out = folder / f"bpe{size}"
            train_qkv(qkv, "bpe", out, text, "--vocab-size", str(size), "--min-frequency", str(frequency))
            reference = Tokenizer(models.BPE())
            reference.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
            reference.train([str(text)], trainers.BpeTrainer(
                vocab_size=size, min_frequency=frequency, special_tokens=["<|endoftext|>"], show_progress=False,
                initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
            expected = json.loads(reference.to_str())["model"]
            got = json.loads((out / "tokenizer.json").read_text(encoding="utf-8"))["model"]
            tally.check(f"merges of BPE {size}", got["merges"], [list(merge) for merge in expected["merges"]])
            tally.check(f"vocabulary of BPE {size}", got["vocab"], expected["vocab"])
            print(f"BPE training to {size}: {len(expected['merges'])} merges")
        prose = folder / "prose.txt"
        prose.write_text("\n".join(topics[name] for name in sorted(topics)), encoding="utf-8")
        check_wordpiece(tally, qkv, prose, folder)
        check_unigram(tally, qkv, prose, folder)
        for kind in ("bpe", "wordpiece", "unigram", "char", "byte"):
            out = folder / kind
            train_qkv(qkv, kind, out, text, "--vocab-size", "2000")
            compare(tally, qkv, out, Tokenizer.from_file(str(out / "tokenizer.json")), strings, f"trained {kind}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directories", nargs="*", type=pathlib.Path)
    parser.add_argument("--qkv", default=str(ROOT / "build/qkv"))
    parser.add_argument("--strings", type=int, default=10000)
    parser.add_argument("--text", action="append", default=[], help="more text to train on")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    tally = Tally()
    strings = random_strings(options.strings, options.seed)
    for directory in options.directories or sorted(GOLDEN.iterdir()):
        if (directory / "tokenizer.json").exists():
            compare(tally, options.qkv, directory, Tokenizer.from_file(str(directory / "tokenizer.json")), strings,
                    directory.name)
        elif directory.name.startswith("sp_"):
            compare_sentencepiece(tally, options.qkv, next(directory.glob("*.model")), strings)
        elif directory.suffix == ".model":
            compare_sentencepiece(tally, options.qkv, directory, strings)
    if not options.directories:
        compare_pipelines(tally, options.qkv, strings)
        compare_limits(tally, options.qkv, strings[:500])
    check_training(tally, options.qkv, options.text, strings)
    print(f"{tally.passed} passed, {tally.failed} failed")
    sys.exit(1 if tally.failed else 0)


if __name__ == "__main__":
    main()
