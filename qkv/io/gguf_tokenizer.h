// Tokenizers in GGUF's metadata ("tokenizer.ggml.*"), as llama.cpp understands them.
#pragma once

#include "qkv/io/gguf.h"
#include "qkv/text/tokenizer.h"

namespace qkv {

// The tokenizer of a file: its kinds "gpt2" (byte-level BPE), "llama" (SentencePiece's BPE), "t5" (its unigram model)
// and "bert" (WordPiece). Throws Error for another kind, and for lists that do not fit each other.
Tokenizer gguf_tokenizer(const Gguf& file);

// The same said of a tokenizer, for a model with `vocab` rows; rows without a token get one that is never used. Throws
// Error for a kind, or a way of cutting text into words, that llama.cpp has no name for.
GgufMetadata gguf_tokenizer_metadata(const Tokenizer& tokenizer, int64_t vocab);

}  // namespace qkv
