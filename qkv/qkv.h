// The library in one include: load a model, turn text into tokens, run it, let it write, or use it for a task. Training
// is in qkv/train.
//
//   const qkv::LoadedModel loaded = qkv::load_model("runs/demo");
//   const qkv::Tokenizer tokenizer = qkv::Tokenizer::load("runs/demo");
//   qkv::Generator generator(*loaded.model, qkv::DType::f32);
//   const auto texts = generator.generate({tokenizer.encode_ids("The tensor")}, {.max_new_tokens = 40});
//   std::string text = tokenizer.decode(texts[0][0].ids);
#pragma once

#include "qkv/core/error.h"
#include "qkv/core/threads.h"
#include "qkv/generate/constraints.h"
#include "qkv/generate/generator.h"
#include "qkv/io/hugging_face.h"
#include "qkv/models/model.h"
#include "qkv/ops/activation.h"
#include "qkv/ops/autograd.h"
#include "qkv/tasks/answer.h"
#include "qkv/tasks/classify.h"
#include "qkv/tasks/embed.h"
#include "qkv/tasks/fill.h"
#include "qkv/tasks/score.h"
#include "qkv/tasks/tag.h"
#include "qkv/tasks/text_to_text.h"
#include "qkv/tensor/tensor.h"
#include "qkv/text/tokenizer.h"
