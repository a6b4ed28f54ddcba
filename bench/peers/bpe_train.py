"""Training a byte-level BPE with the tokenizers library, the merges hashed to compare them."""
import argparse
import hashlib
import json

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from serve import seconds, serve


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("vocab_size", type=int)
    parser.add_argument("text")
    a = parser.parse_args()
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)

    def train():
        tokenizer.train([a.text], trainers.BpeTrainer(
            vocab_size=a.vocab_size, min_frequency=2, special_tokens=["<|endoftext|>"], show_progress=False,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))

    def measure(times):
        taken = [seconds(train) for _ in range(times)]
        merges = json.loads(tokenizer.to_str())["model"]["merges"]
        return {"seconds": taken, "merges": hashlib.sha256(json.dumps(merges).encode()).hexdigest()}

    serve(measure, {})


if __name__ == "__main__":
    main()
