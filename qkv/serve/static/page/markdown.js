// Markdown to a tree of plain objects: CommonMark's blocks and marks as models write them, GitHub's tables, ticks and
// bare addresses. HTML is text. A line's end in a paragraph is a line's end.
import {inlines} from "./inlines.js";

const deepest = 16; // of quotes and lists in each other
const fence = /^( {0,3})(`{3,}|~{3,})[ \t]*([^\s`]*)[^`]*$/;
const heading = /^ {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*$/;
const rule = /^ {0,3}(?:(?:\*[ \t]*){3,}|(?:-[ \t]*){3,}|(?:_[ \t]*){3,})$/;
const quote = /^ {0,3}> ?/;
const item = /^( *)([-*+]|\d{1,9}[.)])(?:( +)(.*))?$/;
const tableRule = /^ {0,3}\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$/;
const tick = /^\[([ xX])\] +/;

const blank = (line) => line.trim() === "";
const indent = (line) => line.length - line.trimStart().length;
const isItem = (line) => item.test(line) && !rule.test(line);
const startsBlock = (line) => fence.test(line) || heading.test(line) || rule.test(line) || quote.test(line);

// Blocks: {type: "heading", level, inlines}, {type: "paragraph", inlines}, {type: "code", language, text},
// {type: "quote", blocks}, {type: "list", start (null: bullets), loose, items: [{checked, blocks}]},
// {type: "table", align, head, rows}, {type: "rule"}; each with the lines it was made of, `raw`.
export function parse(text) {
  return blocksOf(text.replace(/\r\n?/g, "\n").replace(/\t/g, "    ").split("\n"), 0);
}

function blocksOf(lines, depth) {
  const blocks = [];
  for (let at = 0; at < lines.length;) {
    if (blank(lines[at])) {
      ++at;
      continue;
    }
    const reader = depth < deepest ? readers.find((one) => one.starts(lines, at)) : paragraph;
    const [block, end] = reader.read(lines, at, depth);
    blocks.push({...block, raw: lines.slice(at, end).join("\n")});
    at = end;
  }
  return blocks;
}

const code = {
  starts: (lines, at) => fence.test(lines[at]),
  read(lines, at) {
    const [, space, marks, language] = fence.exec(lines[at]);
    const content = [];
    let end = at + 1;
    // Without its end the rest is code: it is still being written.
    for (; end < lines.length; ++end) {
      const line = lines[end].trim();
      if (line.startsWith(marks) && line === marks[0].repeat(line.length)) break;
      content.push(lines[end].slice(Math.min(space.length, indent(lines[end]))));
    }
    return [
      {type: "code", language: language.toLowerCase(), text: content.join("\n")},
      Math.min(end + 1, lines.length),
    ];
  },
};

const title = {
  starts: (lines, at) => heading.test(lines[at]),
  read(lines, at) {
    const [, marks, text] = heading.exec(lines[at]);
    return [{type: "heading", level: marks.length, inlines: inlines(text ?? "")}, at + 1];
  },
};

const line = {
  starts: (lines, at) => rule.test(lines[at]),
  read: (lines, at) => [{type: "rule"}, at + 1],
};

const quotation = {
  starts: (lines, at) => quote.test(lines[at]),
  read(lines, at, depth) {
    const inner = [];
    let end = at;
    for (; end < lines.length && !blank(lines[end]); ++end) {
      if (!quote.test(lines[end]) && startsBlock(lines[end])) break;
      inner.push(lines[end].replace(quote, ""));
    }
    return [{type: "quote", blocks: blocksOf(inner, depth + 1)}, end];
  },
};

const list = {
  starts: (lines, at) => isItem(lines[at]),
  read(lines, at, depth) {
    const base = indent(lines[at]);
    const bullet = item.exec(lines[at])[2];
    const ordered = /\d/.test(bullet);
    const kind = bullet.at(-1);
    const items = [];
    let loose = false;
    while (at < lines.length && isItem(lines[at]) && indent(lines[at]) <= base + 1) {
      const [, space, marks, gap, first] = item.exec(lines[at]);
      if (marks.at(-1) !== kind || /\d/.test(marks) !== ordered) break;
      const width = space.length + marks.length + (gap && gap.length <= 4 ? gap.length : 1);
      const inner = [first ?? ""];
      for (++at; at < lines.length; ++at) {
        const here = lines[at];
        if (blank(here)) {
          let next = at;
          while (next < lines.length && blank(lines[next])) ++next;
          const goesOn = next < lines.length && belongs(lines[next], base, width);
          if (next < lines.length && (goesOn || (isItem(lines[next]) && indent(lines[next]) <= base + 1))) loose = true;
          if (!goesOn) {
            at = next;
            break;
          }
          inner.push("");
        } else if (belongs(here, base, width)) {
          inner.push(here.slice(Math.min(indent(here), width)));
        } else if (isItem(here) || startsBlock(here) || blank(inner.at(-1))) {
          break;
        } else {
          inner.push(here.trimStart());
        }
      }
      const ticked = tick.exec(inner[0]);
      if (ticked) inner[0] = inner[0].slice(ticked[0].length);
      items.push({checked: ticked ? ticked[1] !== " " : null, blocks: blocksOf(inner, depth + 1)});
    }
    return [{type: "list", start: ordered ? Number.parseInt(bullet, 10) : null, loose, items}, at];
  },
};

// A line goes on with an item when it is indented like its text; a list in it needs less, for models count loosely.
function belongs(here, base, width) {
  return indent(here) >= width || (isItem(here) && indent(here) >= base + 2);
}

const table = {
  starts: (lines, at) =>
    lines[at].includes("|") &&
    at + 1 < lines.length &&
    tableRule.test(lines[at + 1]) &&
    cells(lines[at]).length === cells(lines[at + 1]).length,
  read(lines, at) {
    const head = cells(lines[at]);
    const align = cells(lines[at + 1]).map((cell) =>
      cell.endsWith(":") ? (cell.startsWith(":") ? "center" : "right") : null,
    );
    const rows = [];
    let end = at + 2;
    for (; end < lines.length && lines[end].includes("|") && !startsBlock(lines[end]); ++end) {
      const row = cells(lines[end]).slice(0, head.length);
      while (row.length < head.length) row.push("");
      rows.push(row.map(inlines));
    }
    return [{type: "table", align, head: head.map(inlines), rows}, end];
  },
};

function cells(row) {
  const text = row.trim().replace(/^\|/, "").replace(/\|$/, "");
  return text.split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll("\\|", "|"));
}

const paragraph = {
  starts: () => true,
  read(lines, at) {
    let end = at + 1;
    while (
      end < lines.length &&
      !blank(lines[end]) &&
      !startsBlock(lines[end]) &&
      !isItem(lines[end]) &&
      !table.starts(lines, end)
    )
      ++end;
    const text = lines
      .slice(at, end)
      .map((one) => one.trimStart())
      .join("\n")
      .trimEnd();
    return [{type: "paragraph", inlines: inlines(text)}, end];
  },
};

const readers = [code, title, line, quotation, list, table, paragraph];
