// qkv translate MODEL: a text in another language.
#include "tools/support/rewriting.h"

namespace qkv {

void add_translate(CLI::App& app) {
  auto o = std::make_shared<RewritingCommand>();
  CLI::App* command = add_rewriting_command(app, "translate", "translate a text", *o);
  const std::string group = "Languages";
  command->add_option("--from", o->from, "the text's language, where the model knows several (en, en_XX)")
      ->group(group);
  command->add_option("--to", o->to, "the language to translate into")->group(group);
  command->footer(
      "Examples:\n  qkv translate models/opus-mt-en-de \"The house is small.\"\n"
      "  qkv translate models/t5-small \"The house is small.\" --from en --to de\n"
      "  qkv translate models/opus-mt-en-de \"The house is small.\" --bad-word Haus --beams 6 --beam-groups 3 "
      "--diversity-penalty 0.5 --return-sequences 3\n"
      "  qkv translate models/mbart-50 --from en --to de --input lines.txt --output lines.jsonl");
  command->callback([command, o] { run_rewriting(*command, *o, "", "translation_text"); });
}

}  // namespace qkv
