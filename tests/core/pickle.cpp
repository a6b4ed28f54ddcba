#include "qkv/core/pickle.h"

#include "qkv/core/error.h"

#include <gtest/gtest.h>

#include <array>

namespace qkv {
namespace {

using Kind = Pickle::Value::Kind;
constexpr std::array<std::string_view, 2> allowed = {"collections.OrderedDict", "shop.Basket"};

// A literal with NUL bytes in it.
template <size_t N>
std::string bytes(const char (&text)[N]) {
  return std::string(text, N - 1);
}

std::string pickle_error(const std::string& text) {
  try {
    Pickle(text, "a.pkl", allowed);
    return "";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Error::Kind::user);
    EXPECT_EQ(error.where(), "a.pkl");
    EXPECT_FALSE(error.hint().empty());
    return error.what();
  }
}

TEST(Pickle, Scalars) {
  const auto root = [](const std::string& text) { return Pickle(text, "a.pkl", allowed).root(); };
  EXPECT_TRUE(root("\x80\x02N.").is(Kind::none));
  EXPECT_EQ(root("\x80\x02\x88.").integer, 1);
  EXPECT_EQ(root("K\xff.").integer, 255);
  EXPECT_EQ(root("M\x01\x02.").integer, 513);
  EXPECT_EQ(root("J\xfe\xff\xff\xff.").integer, -2);
  EXPECT_EQ(root(bytes("\x8a\x00.")).integer, 0);
  EXPECT_EQ(root("\x8a\x01\xff.").integer, -1);
  EXPECT_EQ(root(bytes("\x8a\x06\x00\x00\x00\x00\x00\x01.")).integer, int64_t{1} << 40);
  EXPECT_EQ(root(bytes("G\xbf\xf8\x00\x00\x00\x00\x00\x00.")).real, -1.5);
}

TEST(Pickle, ReadsTheProtocolsUpToFive) {
  // {"a": (1, [2, "b"], None)}, by pickle.dumps(..., protocol=2) and 4.
  const std::string two = bytes(
      "\x80\x02}q\x00X\x01\x00\x00\x00"
      "aq\x01K\x01]q\x02(K\x02X\x01\x00\x00\x00"
      "bq\x03"
      "eN\x87q\x04s.");
  const std::string four = bytes(
      "\x80\x04\x95\x17\x00\x00\x00\x00\x00\x00\x00}\x94\x8c\x01"
      "a\x94K\x01]\x94(K\x02\x8c\x01"
      "b\x94"
      "eN\x87\x94s.");
  for (const std::string& text : {two, four}) {
    const Pickle pickle(text, "a.pkl", allowed);
    EXPECT_EQ(pickle.length(), text.size());
    const Pickle::Value* a = pickle.root().find("a");
    ASSERT_NE(a, nullptr);
    ASSERT_TRUE(a->is(Kind::tuple));
    ASSERT_EQ(a->items.size(), 3U);
    EXPECT_EQ(a->items[0]->integer, 1);
    EXPECT_EQ(a->items[1]->items[1]->text, "b");
    EXPECT_TRUE(a->items[2]->is(Kind::none));
    EXPECT_EQ(pickle.root().find("b"), nullptr);
  }
}

TEST(Pickle, StandsWhereTheNextBegins) {
  const std::string text = "\x80\x02K\x05.the rest";
  EXPECT_EQ(Pickle(text, "a.pkl", allowed).length(), 5U);
}

TEST(Pickle, CallsNothing) {
  const Pickle pickle("cshop\nBasket\n(K\x01K\x02tR}b.", "a.pkl", allowed);
  EXPECT_TRUE(pickle.root().is_call("shop.Basket"));
  EXPECT_EQ(pickle.root().items[1]->items.size(), 2U);
}

TEST(Pickle, OrderedDictionaries) {
  const std::string text =
      "ccollections\nOrderedDict\n(](U\x01"
      "aK\x01\x86U\x01"
      "bK\x02\x86"
      "etRU\x01"
      "cK\x03s.";
  const Pickle pickle(text, "a.pkl", allowed);
  ASSERT_TRUE(pickle.root().is(Kind::dict));
  EXPECT_EQ(pickle.root().find("b")->integer, 2);
  EXPECT_EQ(pickle.root().find("c")->integer, 3);
}

TEST(Pickle, SharedAndCyclicValues) {
  const Pickle pickle(bytes("]q\x00h\x00"
                            "ah\x00"
                            "a."),
                      "a.pkl", allowed);
  EXPECT_EQ(pickle.root().items[0], &pickle.root());
  EXPECT_EQ(pickle.root().items[1], &pickle.root());
}

TEST(Pickle, RefusesByName) {
  for (const auto& [text, says] :
       std::vector<std::pair<std::string, std::string>>{{"cos\nsystem\n(U\x04"
                                                         "true"
                                                         "tR.",
                                                         "asks for Python's os.system"},
                                                        {"cbuiltins\neval\n(U\x01"
                                                         "1tR.",
                                                         "builtins.eval"},
                                                        {"\x80\x04\x8c\x05posix\x8c\x06system\x93.", "posix.system"},
                                                        {"(U\x04"
                                                         "truei os\nsystem\n.",
                                                         "opcode INST"},
                                                        {"(cshop\nBasket\no.", "opcode OBJ"},
                                                        {"I1\n.", "opcode INT"},
                                                        {"P1\n.", "opcode PERSID"},
                                                        {"\x82\x01.", "opcode EXT1"},
                                                        {"\x8f.", "opcode EMPTY_SET"},
                                                        {"N2.", "opcode DUP"},
                                                        {"\x92.", "opcode NEWOBJ_EX"},
                                                        {"\xff.", "opcode 0xff"}}) {
    EXPECT_NE(pickle_error(text).find(says), std::string::npos) << pickle_error(text);
    EXPECT_NE(pickle_error(text).find("attack"), std::string::npos);
  }
}

TEST(Pickle, RefusesWhatIsDamaged) {
  const std::string huge = bytes("\xff\xff\xff\xff\xff\xff\xff\xff");
  for (const auto& [text, says] :
       std::vector<std::pair<std::string, std::string>>{{"", "is cut off"},
                                                        {".", "takes a value where there is none"},
                                                        {"N", "is cut off"},
                                                        {"X\xff\xff\xff\xff.", "is cut off"},
                                                        {"\x8d" + huge, "is cut off"},
                                                        {"\x95" + huge, "longer than the file"},
                                                        {"cshop", "a line has no end"},
                                                        {"\x8a\x09" + huge + "\xff.", "integer of 9 bytes"},
                                                        {"t.", "mark"},
                                                        {"(a.", "takes a value"},
                                                        {"NN\x86\x86.", "takes a value"},
                                                        {"K\x01K\x02"
                                                         "a.",
                                                         "no list here"},
                                                        {"K\x01K\x02K\x03s.", "no dictionary here"},
                                                        {"}(K\x01u.", "key no value"},
                                                        {"K\x01)R.", "calls something that is not a global"},
                                                        {"cshop\nBasket\nNR.", "tuple of arguments"},
                                                        {"ccollections\nOrderedDict\n(NtR.", "other than a list"},
                                                        {"ccollections\nOrderedDict\n(](NetR.", "other than pairs"},
                                                        {"K\x01K\x02\x93.", "name is not text"},
                                                        {"q\x01.", "remembers a value where there is none"},
                                                        {"h\x07.", "recalls value 7"},
                                                        {"Nb.", "gives attributes to nothing"},
                                                        {"b.", "takes a value"},
                                                        {"\x80\x09N.", "protocol 9"},
                                                        {"\x80\x01N.", "protocol 1"}})
    EXPECT_NE(pickle_error(text).find(says), std::string::npos) << says << ": " << pickle_error(text);
}

TEST(Pickle, BoundsMemoryAndDepth) {
  // A memo of any index costs one entry; lists in lists, a million deep, are freed without recursion.
  EXPECT_EQ(pickle_error("Nr\xff\xff\xff\xff."), "");
  std::string deep;
  for (int i = 0; i < 1'000'000; ++i) deep += "]";
  for (int i = 1; i < 1'000'000; ++i) deep += "a";
  EXPECT_EQ(pickle_error(deep + "."), "");
  EXPECT_NE(pickle_error(std::string(5'000'000, 'N')).find("more than 4000000 values"), std::string::npos);
  EXPECT_NE(pickle_error("N" + std::string(9'000'000, '\x94')).find("more than 8000000 opcodes"), std::string::npos);
}

}  // namespace
}  // namespace qkv
