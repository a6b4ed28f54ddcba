#include "qkv/models/tensorflow_names.h"

#include <gtest/gtest.h>

namespace qkv {
namespace {

TEST(TensorflowNames, NumbersAreCarriedOver) {
  EXPECT_EQ(replace_numbered("a/layer_12/b", "/layer_*/", "/layer/*/"), "a/layer/12/b");
  EXPECT_EQ(replace_numbered("g_1/i_23/x", "g_*/i_*/", "groups/*/inner/*/"), "groups/1/inner/23/x");
  EXPECT_EQ(replace_numbered("layer_x/y", "layer_*", "z"), "layer_x/y");
  EXPECT_EQ(replace_numbered("aaa", "a", "bb"), "bbbbbb");
  EXPECT_EQ(replace_numbered("", "a", "b"), "");
}

TEST(TensorflowNames, OfBert) {
  const TensorflowLayout& bert = family_named("bert", "test").tensorflow;
  const auto name = [&](const char* variable) { return name_from_tensorflow(variable, bert)->name; };
  EXPECT_EQ(name("bert/embeddings/word_embeddings"), "bert.embeddings.word_embeddings.weight");
  EXPECT_EQ(name("bert/encoder/layer_11/attention/self/query/kernel"),
            "bert.encoder.layer.11.attention.self.query.weight");
  EXPECT_EQ(name("bert/encoder/layer_0/output/LayerNorm/gamma"), "bert.encoder.layer.0.output.LayerNorm.weight");
  EXPECT_EQ(name("cls/predictions/output_bias"), "cls.predictions.bias");
  EXPECT_EQ(name("cls/seq_relationship/output_weights"), "cls.seq_relationship.weight");
  EXPECT_EQ(name("cls/squad/output_weights"), "qa_outputs.weight");
  EXPECT_EQ(name("cls/squad/output_bias"), "qa_outputs.bias");
  EXPECT_EQ(name("output_weights"), "classifier.weight");
  EXPECT_EQ(name("output_bias"), "classifier.bias");
  EXPECT_TRUE(name_from_tensorflow("bert/pooler/dense/kernel", bert)->transposed);
  EXPECT_FALSE(name_from_tensorflow("cls/seq_relationship/output_weights", bert)->transposed);
  for (const char* of_optimizer : {"bert/pooler/dense/kernel/adam_m", "global_step", "bert/pooler/dense/bias/Adam_1"})
    EXPECT_FALSE(name_from_tensorflow(of_optimizer, bert)) << of_optimizer;
}

}  // namespace
}  // namespace qkv
