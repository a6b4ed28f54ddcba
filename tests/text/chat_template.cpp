// Conversations as transformers renders them (tests/golden/make_chat.py), from every place a template may lie in.
#include "qkv/text/chat_template.h"

#include "qkv/core/error.h"
#include "qkv/core/files.h"
#include "tests/text/small_tokenizer.h"

namespace qkv {
namespace {

const fs::path golden_chats = fs::path(QKV_SOURCE_DIR) / "tests/golden/chat";

TEST(ChatTemplate, RendersWhatTransformersRenders) {
  const OrderedJson file = parse_ordered_json(read_file(golden_chats / "cases.json", 1 << 24), "cases.json");
  size_t compared = 0;
  for (const OrderedJson& expected : file["cases"]) {
    const std::string name = expected["template"], conversation = expected["conversation"];
    SCOPED_TRACE(name + ", " + conversation + ", " + expected["options"].dump());
    const ChatTemplate chat(read_file(golden_chats / "templates" / name, 1 << 20), small_tokenizer());
    ChatOptions options;
    options.variables = {{"today", "26 Jul 2024"}};
    options.variables.update(expected["options"]);
    options.add_generation_prompt = expected["options"]["add_generation_prompt"];
    if (expected["options"].contains("tools")) options.tools = expected["options"]["tools"];
    const OrderedJson& messages = file["conversations"][conversation];
    if (expected.contains("refused")) {
      EXPECT_THROW(chat.render(messages, options), Error);
    } else {
      EXPECT_EQ(chat.render(messages, options), expected["text"].get<std::string>());
    }
    ++compared;
  }
  EXPECT_GT(compared, 500u);
}

TEST(ChatTemplate, IsFoundWhereverCheckpointsKeepIt) {
  const OrderedJson hello = {{{"role", "user"}, {"content", "hi"}}};
  EXPECT_FALSE(ChatTemplate::present(small_tokenizer()));
  EXPECT_THROW(ChatTemplate{small_tokenizer()}, Error);
  const Tokenizer one = small_tokenizer({{"chat_template", "{{ bos_token }}{{ messages[0].content }}"}});
  EXPECT_TRUE(ChatTemplate::present(one));
  EXPECT_EQ(ChatTemplate(one).render(hello), "<s>hi");
  const Json named = {{{"name", "default"}, {"template", "plain"}},
                      {{"name", "tool_use"}, {"template", "{{ tools[0].a }}"}}};
  const ChatTemplate several(small_tokenizer({{"chat_template", named}}));
  EXPECT_EQ(several.render(hello), "plain");
  EXPECT_EQ(several.render(hello, {.tools = {{{"a", 3}}}}), "3");
  EXPECT_THROW(ChatTemplate{small_tokenizer({{"chat_template", 7}})}, Error);
  EXPECT_THROW(ChatTemplate{small_tokenizer({{"chat_template", "{% if"}})}, Error);
  EXPECT_THROW(ChatTemplate(one).render({{"role", "user"}}), Error);
  EXPECT_THROW(ChatTemplate(one).render({"hi"}), Error);
}

TEST(ChatTemplate, AFileBesideTheTokenizerStandsBeforeItsConfiguration) {
  const fs::path folder = fs::path(testing::TempDir()) / "chat_template_file";
  fs::create_directories(folder);
  small_tokenizer({{"chat_template", "from the configuration"}}).save(folder);
  EXPECT_EQ(ChatTemplate(Tokenizer::load(folder)).render(OrderedJson::array()), "from the configuration");
  write_file(folder / "chat_template.jinja", "from the file");
  EXPECT_EQ(ChatTemplate(Tokenizer::load(folder)).render(OrderedJson::array()), "from the file");
  fs::remove_all(folder);
}

}  // namespace
}  // namespace qkv
