// A SentencePiece .model from anywhere: either an Error, or a tokenizer that encodes and decodes.
#include "qkv/core/error.h"
#include "qkv/text/sentencepiece.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  try {
    const auto file = std::make_shared<const qkv::SentencePieceFile>(qkv::SentencePieceFile::parse(bytes, "fuzz"));
    const qkv::SentencePieceNormalizer normalizer(file);
    const qkv::SentencePieceModel model(file);
    const auto decoder = qkv::sentencepiece_decoder(file);
    for (const bool tracked : {false, true}) {
      const std::string_view sample =
          "  Hello, w\xC3\xB6rld! 12345 \n don't \xE4\xBD\xA0\xE5\xA5\xBD <s> \xF0\x9F\x91\x8D ";
      qkv::AlignedText text = qkv::AlignedText::of(sample, 0, sample.size(), tracked);
      normalizer.normalize(text);
      std::vector<qkv::ModelToken> tokens;
      if (!text.text.empty()) model.tokenize(text.text, tokens);
      std::vector<std::string> names;
      for (const qkv::ModelToken& token : tokens) names.emplace_back(model.vocabulary().token(token.id));
      decoder->decode(names);
    }
  } catch (const qkv::Error&) {
  }
  return 0;
}
