"""Encoding a text on one thread: GPT-2's vocabulary by tiktoken or the tokenizers library, BERT's by tokenizers, a
SentencePiece model by sentencepiece. The text is given line by line to `tokenizers`, which is its faster way."""
import argparse
import json
import pathlib

from serve import seconds, serve

PATTERN = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"""


def byte_of_character():
    """GPT-2 writes every byte as a printable character: itself, or the next one from 256 on."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + i): byte for i, byte in enumerate(others)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("library", choices=["tiktoken", "tokenizers", "sentencepiece"])
    parser.add_argument("vocabulary", type=pathlib.Path)
    parser.add_argument("text", type=pathlib.Path)
    a = parser.parse_args()
    text = a.text.read_bytes().decode()  # read_text would change line ends
    if a.library == "tiktoken":
        import tiktoken
        bytes_of = byte_of_character()
        ids = json.loads((a.vocabulary / "encoder.json").read_text(encoding="utf-8"))
        ranks = {bytes(bytes_of[c] for c in token): i for token, i in ids.items() if token != "<|endoftext|>"}
        encoding = tiktoken.Encoding("gpt2", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens={"<|endoftext|>": 50256})
        work = lambda: encoding.encode_ordinary(text)  # noqa: E731
        count = len(work())
    elif a.library == "sentencepiece":
        from sentencepiece import SentencePieceProcessor
        processor = SentencePieceProcessor(model_file=str(a.vocabulary))
        work = lambda: processor.encode(text)  # noqa: E731
        count = len(work())
    else:
        from tokenizers import BertWordPieceTokenizer, Tokenizer, models, pre_tokenizers
        if a.vocabulary.name == "vocab.txt":
            tokenizer = BertWordPieceTokenizer(str(a.vocabulary))
            tokenizer.add_special_tokens([])
            tokenizer._tokenizer.post_processor = None
        else:
            tokenizer = Tokenizer(models.BPE.from_file(str(a.vocabulary / "encoder.json"), str(a.vocabulary / "vocab.bpe")))
            tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        lines = text.splitlines(keepends=True)
        work = lambda: [tokenizer.encode(line) for line in lines]  # noqa: E731
        count = len(tokenizer.encode(text).ids)
    work()
    size = len(text.encode()) / 1e6
    serve(lambda times: {"rates": [size / seconds(work) for _ in range(times)], "tokens": count}, {})


if __name__ == "__main__":
    main()
