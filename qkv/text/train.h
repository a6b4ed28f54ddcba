// Making tokenizers from text.
#pragma once

#include "qkv/text/tokenizer.h"

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace qkv {

struct TrainOptions {
  int64_t vocab_size = 30000;                                // at most this many tokens, special ones included
  int64_t min_frequency = 2;                                 // bpe, wordpiece: pairs seen less often are not merged
  bool lowercase = true;                                     // wordpiece: BERT's uncased text, without accents
  std::vector<std::string> special_tokens{"<|endoftext|>"};  // get the first ids; the first is the end of text.
                                                             // "[MASK]", "[CLS]" and so on have BERT's roles
  std::function<void(std::string_view stage, int64_t done, int64_t total)> progress;  // may be empty
};

// Byte-level BPE with GPT-2's pre-tokenizer. The merges are those of the Hugging Face `tokenizers` library's BpeTrainer
// with its byte-level alphabet: the most frequent pair first; of equals the one with the smallest ids. Texts are
// counted line by line, on all threads. Throws Error for invalid UTF-8 and a vocab_size without room for the bytes.
Tokenizer train_bpe(std::span<const std::string_view> texts, const TrainOptions& options);

// WordPiece with BERT's normalizer and pre-tokenizer, "##" before what continues a word. The merges are chosen as by
// the library's WordPieceTrainer, which is BPE's rule (its order among equals is arbitrary; here ids follow the words
// in order of their bytes). With [CLS] and [SEP] among the special tokens they go around texts, as BERT has them; [UNK]
// is added where it is missing. Throws Error for invalid UTF-8, empty text, and a vocab_size without room for the
// characters.
Tokenizer train_wordpiece(std::span<const std::string_view> texts, const TrainOptions& options);

// The unigram language model of Kudo, "Subword regularization" (2018): from all frequent substrings of words,
// expectation maximisation, and pruning of the pieces whose loss costs the least likelihood, until vocab_size are left.
// NFKC, words behind space markers, "<unk>" for characters the text lacks. Throws Error as train_wordpiece does.
Tokenizer train_unigram(std::span<const std::string_view> texts, const TrainOptions& options);

// A token a character, in order of code point, behind the special tokens and "<unk>". Line breaks are characters too.
// Throws Error for invalid UTF-8 and for text without characters.
Tokenizer train_characters(std::span<const std::string_view> texts, const TrainOptions& options);

// A token a byte, whose id is the byte; special tokens follow from 256.
Tokenizer byte_tokenizer(const TrainOptions& options);

}  // namespace qkv
