// Colours for code: a small lexer a language, told by tables of words and patterns. Returns pieces of text with a kind;
// together they are the code.

const words = (text) => new Set(text.split(" "));
const c = words(
  "alignas auto bool break case catch char class concept const constexpr consteval continue co_await co_return co_yield default " +
    "delete do double else enum explicit export extern false final float for friend goto if import inline int long " +
    "module mutable namespace new noexcept nullptr operator override private protected public register requires return short " +
    "signed sizeof static static_assert static_cast struct switch template this throw true try typedef typename union " +
    "unsigned using virtual void volatile while NULL",
);
const js = words(
  "abstract any as async await boolean break case catch class const continue debugger declare default delete do else enum " +
    "export extends false finally for from function get if implements import in instanceof interface let new null " +
    "number of private protected public readonly return set static string super switch this throw true try type typeof undefined var void while yield",
);
const java = words(
  "abstract assert boolean break byte case catch char class const continue default do double else enum extends false " +
    "final finally float for fun if implements import instanceof int interface internal is let long namespace native new null object " +
    "override package private protected public record return sealed short static string super switch synchronized this throw " +
    "throws true try using val var void volatile when while",
);
const python = words(
  "False None True and as assert async await break case class continue def del elif else except finally for from " +
    "global if import in is lambda match nonlocal not or pass raise return self try while with yield",
);
const rust = words(
  "as async await bool break const continue crate dyn else enum extern f32 f64 false fn for i32 i64 if impl in let loop match mod " +
    "move mut pub ref return self Self static struct super trait true type u8 u32 u64 unsafe use usize where while",
);
const go = words(
  "bool break byte case chan const continue default defer else error fallthrough false float64 for func go goto if import int " +
    "interface map nil package range return rune select string struct switch true type uint var",
);
const shell = words(
  "alias break case cd continue declare do done echo elif else esac eval exec exit export fi for function if in local " +
    "printf read readonly return set shift source then trap unset until while sudo",
);
const sql = words(
  "add all alter and as asc between by case check column constraint create cross database default delete desc distinct drop else " +
    "end exists false foreign from full group having if in index inner insert integer intersect into is join key left like limit not null " +
    "offset on or order outer primary references right select set table text then true union unique update values varchar view when where with",
);
const ruby = words(
  "alias and begin break case class def do else elsif end ensure false for if in module next nil not or puts redo " +
    "require rescue retry return self super then true undef unless until when while yield",
);
const lua = words(
  "and break do else elseif end false for function goto if in local nil not or repeat return then true until while",
);
const data = words("true false null yes no on off");

const slashes = "//[^\\n]*|/\\*[\\s\\S]*?(?:\\*/|$)";
const hash = "#[^\\n]*";
const quoted = `"(?:[^"\\\\\\n]|\\\\[\\s\\S])*"?|'(?:[^'\\\\\\n]|\\\\[\\s\\S])*'?`;
const ticked = "`(?:[^`\\\\]|\\\\[\\s\\S])*`?";
const tripled = "\"\"\"[\\s\\S]*?(?:\"\"\"|$)|'''[\\s\\S]*?(?:'''|$)";

const languages = {
  c: {keywords: c, comment: slashes, string: quoted, meta: "^[ \\t]*#[ \\t]*\\w+[^\\n]*"},
  javascript: {keywords: js, comment: slashes, string: `${ticked}|${quoted}`},
  java: {keywords: java, comment: slashes, string: `${tripled}|${quoted}`, meta: "@\\w+"},
  python: {
    keywords: python,
    comment: hash,
    string: `[rbfuRBFU]{0,2}(?:${tripled}|${quoted})`,
    meta: "^[ \\t]*@[\\w.]+",
  },
  rust: {keywords: rust, comment: slashes, string: `"(?:[^"\\\\]|\\\\[\\s\\S])*"?`, meta: "#!?\\[[^\\]\\n]*\\]"},
  go: {keywords: go, comment: slashes, string: `${ticked}|${quoted}`},
  shell: {keywords: shell, comment: "(?<=^|\\s)#[^\\n]*", string: quoted, meta: "\\$(?:\\w+|\\{[^}\\n]*\\})"},
  sql: {keywords: sql, comment: `--[^\\n]*|${slashes}`, string: quoted, anyCase: true},
  ruby: {keywords: ruby, comment: hash, string: quoted, meta: ":\\w+"},
  lua: {keywords: lua, comment: "--\\[\\[[\\s\\S]*?(?:\\]\\]|$)|--[^\\n]*", string: quoted},
  data: {
    keywords: data,
    comment: "(?<=^|\\s)#[^\\n]*",
    string: quoted,
    meta: '^[ \\t-]*[\\w."-]+(?=\\s*[:=])|^\\[[^\\]\\n]*\\]',
  },
  json: {keywords: data, comment: slashes, string: quoted, meta: '"(?:[^"\\\\\\n]|\\\\.)*"(?=\\s*:)'},
  css: {
    keywords: words("important"),
    comment: slashes,
    string: quoted,
    meta: "[-\\w]+(?=\\s*:)|@[-\\w]+|#[\\da-fA-F]{3,8}\\b",
  },
  html: {keywords: words(""), comment: "<!--[\\s\\S]*?(?:-->|$)", string: quoted, meta: "</?[\\w:-]+|/?>"},
  diff: {
    keywords: words(""),
    comment: "^(?:@@|diff|index|---|\\+\\+\\+)[^\\n]*",
    string: "^\\+[^\\n]*",
    meta: "^-[^\\n]*",
  },
};
const names = {
  c: "c h cpp c++ cc cxx hpp cuda cu objc glsl",
  javascript: "javascript js jsx ts tsx typescript mjs node",
  java: "java kotlin kt csharp cs c# scala swift dart php",
  python: "python py python3",
  rust: "rust rs zig",
  go: "go golang",
  shell: "sh bash shell zsh console dockerfile makefile cmake",
  sql: "sql sqlite mysql postgresql",
  ruby: "ruby rb perl r julia elixir",
  lua: "lua haskell",
  data: "yaml yml toml ini conf properties",
  json: "json jsonc jsonl",
  css: "css scss less",
  html: "html xml svg vue",
  diff: "diff patch",
};
const byName = new Map(
  Object.entries(names).flatMap(([key, all]) => all.split(" ").map((name) => [name, languages[key]])),
);

function lexer(language) {
  if (language.lexer) return language.lexer;
  const parts = [
    `(?<comment>${language.comment})`,
    language.meta && `(?<meta>${language.meta})`,
    `(?<string>${language.string})`,
    "(?<number>\\b(?:0[xX][\\da-fA-F_]+|\\d[\\d_]*(?:\\.\\d+)?(?:[eE][-+]?\\d+)?)\\w*)",
    "(?<call>[A-Za-z_]\\w*(?=\\())",
    "(?<word>[A-Za-z_]\\w*)",
  ];
  language.lexer = new RegExp(parts.filter(Boolean).join("|"), "gm");
  return language.lexer;
}

// [{text, kind}]: kind is "comment", "meta", "string", "number", "keyword", "call" or "" for the rest. A language that is
// not known is left as it is.
export function highlight(code, name) {
  const language = byName.get(name);
  if (!language) return [{text: code, kind: ""}];
  const pieces = [];
  let last = 0;
  for (const match of code.matchAll(lexer(language))) {
    let [kind] = Object.entries(match.groups).find(([, text]) => text !== undefined);
    if (kind === "word" || kind === "call") {
      const word = language.anyCase ? match[0].toLowerCase() : match[0];
      kind = language.keywords.has(word) ? "keyword" : kind === "call" ? "call" : "";
    }
    if (kind === "") continue;
    if (match.index > last) pieces.push({text: code.slice(last, match.index), kind: ""});
    pieces.push({text: match[0], kind});
    last = match.index + match[0].length;
  }
  if (last < code.length) pieces.push({text: code.slice(last), kind: ""});
  return pieces;
}
