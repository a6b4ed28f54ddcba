// Directories whose vocabulary is a SentencePiece model.
#pragma once

#include "qkv/core/files.h"
#include "qkv/core/json.h"
#include "qkv/text/pipeline.h"
#include "qkv/text/sentencepiece_file.h"

#include <optional>

namespace qkv {

// What a tokenizer.json would say for a model of a class with conventions of its own: T5, ALBERT, XLNet, XLM-RoBERTa,
// Llama. Nothing for other classes.
std::optional<Json> sentencepiece_as_json(const SentencePieceFile& file, const fs::path& path, Json& config);

// SentencePiece itself, with the special tokens that `config` names.
Tokenizer::Pipeline::Parts sentencepiece_parts(SentencePieceFile file, std::string bytes, const fs::path& path,
                                               Json config);

// Marian's: the pieces of source.spm (or target.spm, as `path` says) under the ids of the vocab.json beside it.
Tokenizer::Pipeline::Parts marian_parts(const fs::path& path, Json config);

}  // namespace qkv
