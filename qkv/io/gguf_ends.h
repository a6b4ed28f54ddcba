// Tokens that end a text, of which a checkpoint may have several: GGUF has "eos", "eot" (the end of a turn) and "eom"
// (of a message, before a tool answers); the Hugging Face library has a list.
#pragma once

#include "qkv/core/files.h"
#include "qkv/io/gguf_value.h"
#include "qkv/models/config.h"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace qkv {

// What generation_config.json in `model` names or, where it names none, the configuration: those within the vocabulary.
std::vector<int64_t> ends_of(const fs::path& model, const Config& config, int64_t vocab);

// Says the ends that are not "eos", two at most, and gives a notice where there are more; `token` gives an id's token,
// which tells "eom" from "eot". Where there is no "eos" yet, the first end is.
void put_ends(GgufMetadata& metadata, std::vector<int64_t> ends, const std::function<std::string(int64_t)>& token);

// "eos", "eot" and "eom" as configurations have them: null, a number, or a list.
Json said_ends(const std::function<const GgufValue*(const std::string& key)>& find, int64_t vocab);

}  // namespace qkv
