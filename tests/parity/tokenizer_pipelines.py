"""Small tokenizer.json files, each around one component of the pipeline."""
import json

REPLACE = {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}
CHARACTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .,!?'\u2581#-_\u00e9\u00fc\u4e16\u754c\u0438\u0440\n"


def word_level(**parts):
    """Pieces as they are: every one is unknown, so that the offsets show what the steps before made."""
    model = {"type": "WordLevel", "vocab": {"[UNK]": 0, "the": 1, "hello": 2, "\u2581the": 3, "1": 4, ".": 5}, "unk_token": "[UNK]"}
    return {"version": "1.0", "model": model, **parts}


def bpe(merges=(), **options):
    vocab = {c: i for i, c in enumerate(["<unk>", *CHARACTERS])}
    for left, right in merges:
        vocab.setdefault(left + right, len(vocab))
    parts = {key: options.pop(key) for key in ("normalizer", "pre_tokenizer", "post_processor", "decoder") if key in options}
    return {"version": "1.0", "model": {"type": "BPE", "vocab": vocab, "merges": [list(m) for m in merges],
                                        "unk_token": "<unk>", **options}, **parts}


def unigram(byte_fallback, unknown=0, **parts):
    pieces = [["<unk>", 0.0], ["\u2581", -2.0], ["the", -3.0], ["\u2581the", -3.5], ["he", -4.0], ["ing", -4.25], ["ll", -4.5],
              ["\u4e16\u754c", -5.5], ["orl", -6.0], ["\u2581\u2581", -3.9]]
    pieces += [[c, -5.0 - 0.01 * i] for i, c in enumerate(CHARACTERS) if c not in ("\u2581", "\n")]
    if byte_fallback:
        pieces += [[f"<0x{b:02X}>", -12.0] for b in range(256)]
    return {"version": "1.0", "model": {"type": "Unigram", "unk_id": unknown, "vocab": pieces, "byte_fallback": byte_fallback}, **parts}


def pipelines(golden):
    """Pairs of a name and a tokenizer.json."""
    bert = {"type": "BertPreTokenizer"}
    merges = [("h", "e"), ("t", "he"), ("l", "l"), ("o", "r"), ("\u2581", "the"), ("\u4e16", "\u754c"), ("\u2581", "\u2581")]
    for form in ("NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Nmt", "ByteLevel"):
        yield f"normalizer_{form}", bpe(merges, normalizer={"type": form})
    for left in (True, False):
        for right in (True, False):
            yield f"normalizer_Strip_{left}_{right}", bpe(normalizer={"type": "Strip", "strip_left": left, "strip_right": right})
    yield "normalizer_Prepend", bpe(normalizer={"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "\u2581"}, REPLACE]})
    for pattern in (r"\s+", r"\d", r"[^\w\s]", r"(?<=a)b", r"^.", r"x*", r"\p{L}+", r"[a-c]{2,}"):
        for content in ("", "-", "##"):
            yield f"normalizer_Replace_{pattern.encode().hex()}_{content}", bpe(
                normalizer={"type": "Replace", "pattern": {"Regex": pattern}, "content": content})
    precompiled = json.loads((golden / "t5/tokenizer.json").read_text())["normalizer"]["normalizers"][0]
    yield "normalizer_Precompiled", word_level(normalizer=precompiled, pre_tokenizer={"type": "WhitespaceSplit"})
    yield "normalizer_Precompiled_NFD", bpe(normalizer={"type": "Sequence", "normalizers": [{"type": "NFD"}, precompiled]})

    for kind in ("Whitespace", "WhitespaceSplit", "BertPreTokenizer", "UnicodeScripts"):
        yield f"pre_tokenizer_{kind}", word_level(pre_tokenizer={"type": kind})
    for behavior in ("Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"):
        yield f"pre_tokenizer_Punctuation_{behavior}", word_level(pre_tokenizer={"type": "Punctuation", "behavior": behavior})
        for invert in (True, False):
            for pattern in ({"Regex": r"\s+"}, {"String": " "}, {"Regex": r"\w+|[^\w\s]+"}):
                name = f"pre_tokenizer_Split_{behavior}_{invert}_{'_'.join(pattern.values()).encode().hex()}"
                yield name, word_level(pre_tokenizer={"type": "Split", "pattern": pattern, "behavior": behavior, "invert": invert})
    for individual in (True, False):
        yield f"pre_tokenizer_Digits_{individual}", word_level(pre_tokenizer={"type": "Digits", "individual_digits": individual})
    yield "pre_tokenizer_CharDelimiterSplit", word_level(pre_tokenizer={"type": "CharDelimiterSplit", "delimiter": "e"})
    for length in (1, 3, 5):
        yield f"pre_tokenizer_FixedLength_{length}", word_level(pre_tokenizer={"type": "FixedLength", "length": length})
    for scheme in ("always", "first", "never"):
        for split in (True, False):
            metaspace = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": scheme, "split": split}
            model = unigram(False, pre_tokenizer=metaspace, decoder=metaspace)
            added = [{"id": len(model["model"]["vocab"]), "content": "[MASK]", "single_word": False, "lstrip": scheme == "first", "rstrip": False,
                      "normalized": False, "special": True}]
            yield f"pre_tokenizer_Metaspace_{scheme}_{split}", {**model, "added_tokens": added}
    yield "pre_tokenizer_Sequence", word_level(pre_tokenizer={"type": "Sequence", "pretokenizers": [
        {"type": "WhitespaceSplit"}, {"type": "Digits", "individual_digits": True}, {"type": "Punctuation", "behavior": "Isolated"}]})
    yield "pre_tokenizer_ByteLevel_words", word_level(pre_tokenizer={
        "type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True})

    for fuse in (True, False):
        yield f"model_BPE_fuse_{fuse}", bpe(merges, fuse_unk=fuse, pre_tokenizer=bert)
    yield "model_BPE_ignore_merges", bpe(merges, ignore_merges=True, pre_tokenizer=bert)
    for fallback in (True, False):
        yield f"model_Unigram_{fallback}", unigram(fallback)
        yield f"model_Unigram_words_{fallback}", unigram(fallback, pre_tokenizer=bert, decoder={"type": "Sequence", "decoders": [
            {"type": "ByteFallback"}, {"type": "Fuse"}]})
    yield "model_WordPiece_short", {"version": "1.0", "pre_tokenizer": bert, "decoder": {"type": "WordPiece", "prefix": "++", "cleanup": False},
                                    "model": {"type": "WordPiece", "unk_token": "?", "continuing_subword_prefix": "++",
                                              "max_input_chars_per_word": 6,
                                              "vocab": {"?": 0, "h": 1, "++e": 2, "++ll": 3, "++o": 4, "the": 5, "a": 6, "++n": 7}}}

    for name, decoder in {
            "CTC": {"type": "CTC", "pad_token": "[UNK]", "word_delimiter_token": "the", "cleanup": True},
            "CTC_plain": {"type": "CTC", "pad_token": "1", "word_delimiter_token": "|", "cleanup": False},
            "Fuse": {"type": "Fuse"}, "BPE": {"type": "BPEDecoder", "suffix": "e"},
            "Strip": {"type": "Strip", "content": "t", "start": 1, "stop": 1},
            "Replace": {"type": "Replace", "pattern": {"Regex": "h(e|el)"}, "content": "_"},
            "WordPiece": {"type": "WordPiece", "prefix": "t", "cleanup": True}}.items():
        yield f"decoder_{name}", word_level(pre_tokenizer={"type": "Whitespace"}, decoder=decoder)


def limits(golden):
    """Truncation and padding in every form, on tokenizers with templates of each kind."""
    def padding(strategy, direction="Right", multiple=None):
        return {"strategy": strategy, "direction": direction, "pad_to_multiple_of": multiple, "pad_id": 0, "pad_type_id": 1,
                "pad_token": "[PAD]"}

    for base in ("bert_uncased", "roberta", "gpt2", "t5", "albert"):
        tokenizer = json.loads((golden / base / "tokenizer.json").read_text(encoding="utf-8"))
        for strategy in ("LongestFirst", "OnlyFirst", "OnlySecond"):
            for direction in ("Right", "Left"):
                for length, stride in [(12, 0), (12, 3), (9, 4), (200, 0)]:
                    truncation = {"max_length": length, "stride": stride, "strategy": strategy, "direction": direction}
                    yield f"limits_{base}_{strategy}_{direction}_{length}_{stride}", {**tokenizer, "truncation": truncation}
        short = {"max_length": 10, "stride": 2, "strategy": "LongestFirst", "direction": "Right"}
        for name, how in {"longest": padding("BatchLongest"), "left": padding("BatchLongest", "Left"), "fixed": padding({"Fixed": 40}),
                          "fixed_left": padding({"Fixed": 40}, "Left"), "multiple": padding("BatchLongest", multiple=8),
                          "fixed_multiple": padding({"Fixed": 12}, multiple=8)}.items():
            yield f"limits_{base}_pad_{name}", {**tokenizer, "padding": how}
            yield f"limits_{base}_pad_{name}_cut", {**tokenizer, "padding": how, "truncation": short}
