// The marks inside a line of Markdown: emphasis, code, links. Results are strings and {type: "code", text},
// {type: "strong" | "em" | "del", children}, {type: "link", href, children}, {type: "break"}.

const punctuation = /[!-/:-@[-`{-~]/;
const address = /https?:\/\/[^\s<>"'`]+/y;
const bracketed = /<((?:https?:\/\/|mailto:)[^\s<>]*)>/y;
const target = /\(\s*<?([^\s()<>]*(?:\([^\s()<>]*\)[^\s()<>]*)*)>?(?:\s+(?:"[^"]*"|'[^']*'))?\s*\)/y;

// Only these lead anywhere: a model's text must not run anything.
export const isSafeLink = (href) => /^(?:https?:\/\/|mailto:)/i.test(href);

const at = (pattern, text, place) => {
  pattern.lastIndex = place;
  return pattern.exec(text);
};

export function inlines(text) {
  const nodes = [];
  const brackets = []; // places in nodes of "[" that may begin links
  const missing = new Set(); // lengths of runs of ` that nothing ends
  let plain = "";
  const flush = () => {
    if (plain !== "") nodes.push(plain);
    plain = "";
  };
  const push = (node) => {
    flush();
    nodes.push(node);
  };
  for (let i = 0; i < text.length;) {
    const c = text[i];
    let found;
    if (c === "\\" && punctuation.test(text[i + 1] ?? "")) {
      plain += text[i + 1];
      i += 2;
    } else if (c === "\n") {
      plain = plain.replace(/(?: +|\\)$/, "");
      push({type: "break"});
      ++i;
    } else if (c === "`") {
      const run = runAt(text, i);
      const end = missing.has(run) ? -1 : closing(text, i + run, run);
      if (end < 0) {
        missing.add(run);
        plain += text.slice(i, i + run);
        i += run;
      } else {
        push({type: "code", text: trimmed(text.slice(i + run, end).replaceAll("\n", " "))});
        i = end + run;
      }
    } else if (c === "*" || c === "_" || (c === "~" && text[i + 1] === "~")) {
      const run = runAt(text, i);
      push(delimiter(text, i, run));
      i += run;
    } else if (c === "[" || (c === "!" && text[i + 1] === "[")) {
      const mark = c === "!" ? "![" : "[";
      push({bracket: mark});
      brackets.push(nodes.length - 1);
      i += mark.length;
    } else if (c === "]" && brackets.length > 0) {
      flush();
      const open = brackets.pop();
      found = at(target, text, i + 1);
      if (found) {
        const children = emphasised(nodes.splice(open).slice(1));
        nodes.push(link(found[1], children));
        i += 1 + found[0].length;
      } else {
        plain = "]";
        ++i;
      }
    } else if (c === "<" && (found = at(bracketed, text, i))) {
      push(link(found[1], [found[1].replace(/^mailto:/, "")]));
      i += found[0].length;
    } else if (c === "h" && !/\w/.test(text[i - 1] ?? "") && (found = at(address, text, i))) {
      const href = withoutEnd(found[0]);
      push(brackets.length > 0 ? href : link(href, [href]));
      i += href.length;
    } else {
      plain += c;
      ++i;
    }
  }
  flush();
  return emphasised(nodes);
}

function runAt(text, start) {
  let end = start;
  while (text[end] === text[start]) ++end;
  return end - start;
}

function closing(text, from, run) {
  for (let i = text.indexOf("`", from); i >= 0; i = text.indexOf("`", i)) {
    const here = runAt(text, i);
    if (here === run) return i;
    i += here;
  }
  return -1;
}

function trimmed(text) {
  return text.length > 2 && text.startsWith(" ") && text.endsWith(" ") && text.trim() !== "" ? text.slice(1, -1) : text;
}

// What ends a sentence is not part of an address, nor is the parenthesis around it.
function withoutEnd(href) {
  let end = href.replace(/[.,:;!?*_~]+$/, "");
  if (end.endsWith(")") && !end.includes("(")) end = end.slice(0, -1);
  return end;
}

function link(href, children) {
  return isSafeLink(href) ? {type: "link", href, children} : {type: "span", children: [...children, ` (${href})`]};
}

// Whether a run of * or _ may begin or end emphasis, by what stands around it (CommonMark 6.2).
function delimiter(text, start, count) {
  const before = text[start - 1] ?? " ",
    after = text[start + count] ?? " ";
  const kind = (c) => (/\s/.test(c) ? "space" : /[\p{P}\p{S}]/u.test(c) ? "mark" : "letter");
  const b = kind(before),
    a = kind(after);
  const left = a !== "space" && (a !== "mark" || b !== "letter");
  const right = b !== "space" && (b !== "mark" || a !== "letter");
  const mark = text[start];
  const inWord = mark === "_" && left && right;
  return {
    mark,
    count,
    opens: left && (!inWord || b === "mark"),
    closes: right && (!inWord || a === "mark"),
    both: left && right,
    length: count,
  };
}

function matches(opener, closer) {
  if (opener.mark !== closer.mark || !opener.opens || opener.count === 0) return false;
  if (closer.mark === "~") return opener.count === closer.count;
  return !(
    (opener.both || closer.both) &&
    (opener.length + closer.length) % 3 === 0 &&
    (opener.length % 3 !== 0 || closer.length % 3 !== 0)
  );
}

// Puts what stands between delimiters that match under a node; the others become text.
function emphasised(nodes) {
  for (let close = 0; close < nodes.length; ++close) {
    const closer = nodes[close];
    if (!closer.closes) continue;
    let open = close - 1;
    while (open >= 0 && !(nodes[open].mark && matches(nodes[open], closer))) --open;
    if (open < 0) continue;
    const opener = nodes[open];
    const used = opener.mark === "~" ? opener.count : Math.min(opener.count, closer.count, 2);
    const type = opener.mark === "~" ? "del" : used === 2 ? "strong" : "em";
    nodes.splice(open + 1, close - open - 1, {type, children: asText(nodes.slice(open + 1, close))});
    close = open + 1;
    opener.count -= used;
    closer.count -= used;
    if (closer.count === 0) nodes.splice(close + 1, 1);
    if (opener.count === 0) {
      nodes.splice(open, 1);
      --close;
    }
  }
  return asText(nodes);
}

function asText(nodes) {
  const out = [];
  for (const node of nodes) {
    const text = typeof node === "string" ? node : (node.bracket ?? (node.mark ? node.mark.repeat(node.count) : null));
    if (text === null) out.push(node);
    else if (typeof out.at(-1) === "string") out[out.length - 1] += text;
    else out.push(text);
  }
  return out;
}
