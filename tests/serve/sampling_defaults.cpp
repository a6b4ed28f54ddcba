// How a model writes where a request leaves that out: as its generation_config.json says.
#include "qkv/core/error.h"
#include "tests/serve/asked.h"

#include <set>

namespace qkv {
namespace {

class SamplingDefaultsTest : public testing::Test {
 protected:
  // The model's answers to a question that is asked four times, with such a file beside it.
  std::set<std::string> four(const Json& file, OrderedJson body = OrderedJson::object()) {
    write_file(model_.path / "generation_config.json", file.dump());
    ModelStore models({"tiny=" + model_.path.string()}, {});
    Service service({}, models);
    told_ = get(service, "/v1/models").json()["data"][0]["sampling"];
    body.update({{"prompt", "w5 w6"}, {"max_tokens", 8}, {"n", 4}, {"ignore_eos", true}});
    const OrderedJson answer = ask(service, "/v1/completions", body).json();
    std::set<std::string> texts;
    for (const OrderedJson& choice : answer.at("choices")) texts.insert(choice["text"]);
    return texts;
  }
  TinyModel model_{"gpt2"};
  OrderedJson told_;
};

TEST_F(SamplingDefaultsTest, AreTheCheckpoints) {
  EXPECT_GT(four({{"temperature", 50.0}}).size(), 1U);
  EXPECT_EQ(told_, OrderedJson({{"temperature", 50.0}}));
  const std::set<std::string> likeliest = four(Json::object(), {{"temperature", 0}});
  ASSERT_EQ(likeliest.size(), 1U);
  EXPECT_EQ(told_, OrderedJson::object());
  for (const Json& file : {Json{{"temperature", 50.0}, {"top_k", 1}}, Json{{"temperature", 50.0}, {"top_p", 0}},
                           Json{{"temperature", 0}, {"top_k", -1}}, Json{{"do_sample", false}, {"min_p", 0.999}}})
    EXPECT_EQ(four(file), likeliest) << file;
}

TEST_F(SamplingDefaultsTest, GiveWayToTheRequest) {
  const Json file = {{"temperature", 50.0}, {"top_k", 1}};
  EXPECT_GT(four(file, {{"top_k", 0}}).size(), 1U);
  EXPECT_EQ(four({{"temperature", 50.0}}, {{"temperature", 0}}).size(), 1U);
  EXPECT_GT(four({{"temperature", 0}}, {{"temperature", 50}}).size(), 1U);
}

TEST_F(SamplingDefaultsTest, BeyondTheirBoundsAreRefused) {
  for (const Json& file : {Json{{"temperature", -1}}, Json{{"temperature", "hot"}}, Json{{"top_p", 1.5}},
                           Json{{"top_k", -2}}, Json{{"repetition_penalty", 0}}, Json{{"min_p", 2}}})
    try {
      four(file);
      ADD_FAILURE() << file;
    } catch (const Error& error) {
      EXPECT_NE(error.where().find("generation_config.json"), std::string::npos) << error.what();
    }
}

}  // namespace
}  // namespace qkv
