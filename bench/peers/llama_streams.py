"""llama.cpp writing many texts together: one llama_batch with a token of each, through its C API. Nothing of a server
is measured, so this is the most that llama.cpp's server could do. Usage: llama_streams.py MODEL STREAMS PROMPT TOKENS
CONTEXT THREADS. See serve.py for what is read and printed.
"""
import ctypes
import sys
import time

import llama_cpp as llama
import numpy as np
from serve import serve


class Streams:
    def __init__(self, path, streams, prompt, tokens, context, threads):
        self.streams, self.prompt, self.tokens = streams, prompt, tokens
        llama.llama_log_set(self.quiet, ctypes.c_void_p(0))
        llama.llama_backend_init()
        self.model = llama.llama_model_load_from_file(path.encode(), llama.llama_model_default_params())
        parameters = llama.llama_context_default_params()
        parameters.n_ctx, parameters.n_seq_max = streams * context, streams
        parameters.n_batch, parameters.n_ubatch = 2048, 512
        parameters.n_threads = parameters.n_threads_batch = threads
        self.context = llama.llama_init_from_model(self.model, parameters)
        self.vocab = llama.llama_vocab_n_tokens(llama.llama_model_get_vocab(self.model))
        self.batch = llama.llama_batch_init(2048, 0, 1)
        self.random = np.random.default_rng(1)

    quiet = llama.llama_log_callback(lambda level, text, data: None)

    def decode(self, entries):
        """Entries are (token, position, sequence, whether its scores are wanted); gives the likeliest next tokens."""
        self.batch.n_tokens = len(entries)
        wanted = []
        for i, (token, position, sequence, scored) in enumerate(entries):
            self.batch.token[i], self.batch.pos[i] = token, position
            self.batch.n_seq_id[i], self.batch.seq_id[i][0] = 1, sequence
            self.batch.logits[i] = scored
            if scored:
                wanted.append((sequence, i))
        if llama.llama_decode(self.context, self.batch) != 0:
            raise RuntimeError("llama_decode failed")
        scores = {sequence: llama.llama_get_logits_ith(self.context, i) for sequence, i in wanted}
        return {sequence: int(np.ctypeslib.as_array(row, (self.vocab,)).argmax()) for sequence, row in scores.items()}

    def turn(self):
        llama.llama_memory_clear(llama.llama_get_memory(self.context), True)
        prompts = self.random.integers(300, self.vocab, (self.streams, self.prompt))
        entries = [(int(token), at, sequence, at == self.prompt - 1)
                   for sequence, ids in enumerate(prompts) for at, token in enumerate(ids)]
        start = time.perf_counter()
        latest, first, gaps = {}, [], []
        for begin in range(0, len(entries), 2048):
            said = self.decode(entries[begin:begin + 2048])
            first += [time.perf_counter() - start] * len(said)
            latest |= said
        before = time.perf_counter()
        for at in range(self.prompt, self.prompt + self.tokens - 1):
            latest = self.decode([(token, at, sequence, True) for sequence, token in latest.items()])
            now = time.perf_counter()
            gaps.append(now - before)
            before = now
        gaps.sort()
        return {"tokens_per_second": self.streams * self.tokens / (before - start),
                "first_token_p50": sorted(first)[len(first) // 2],
                "gap_p50": gaps[len(gaps) // 2], "gap_p99": gaps[len(gaps) * 99 // 100]}


def main():
    path, *numbers = sys.argv[1:]
    streams = Streams(path, *map(int, numbers))
    serve(lambda count: {"turns": [streams.turn() for _ in range(count)]}, {"name": "llama.cpp"})


if __name__ == "__main__":
    main()
