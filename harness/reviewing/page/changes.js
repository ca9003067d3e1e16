// What an edit changed, word by word (in Chinese and Japanese character by character). Knows two texts.

const PIECES = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]|[\p{L}\p{M}\p{N}'’]+|\n|[^\S\n]+|[^]/gu;
const MOST = 4_000_000; // comparisons; a larger difference is shown as one

export function showChanges(element, before, after) {
  element.replaceChildren(
    ...changes(before, after).map(({ kind, text }) => {
      if (kind === "same") return document.createTextNode(text);
      const part = document.createElement(kind === "in" ? "ins" : "del");
      part.textContent = kind === "in" ? text : text.replaceAll("\n", "↵");
      if (kind === "in" && text.startsWith("\n")) part.textContent = `↵${text}`;
      return part;
    }),
  );
}

export function changes(before, after) {
  const old = before.match(PIECES) ?? [];
  const now = after.match(PIECES) ?? [];
  let start = 0;
  while (start < old.length && start < now.length && old[start] === now[start]) start += 1;
  let end = 0;
  while (end < old.length - start && end < now.length - start && old.at(-1 - end) === now.at(-1 - end)) end += 1;
  const parts = [];
  add(parts, "same", old.slice(0, start));
  between(parts, old.slice(start, old.length - end), now.slice(start, now.length - end));
  add(parts, "same", old.slice(old.length - end));
  return joined(parts);
}

// several words in a row that changed are one change: the spaces between them belong to it
function joined(parts) {
  const result = [];
  let out = "";
  let put = "";
  const flush = () => {
    if (out) result.push({ kind: "out", text: out });
    if (put) result.push({ kind: "in", text: put });
    out = put = "";
  };
  parts.forEach(({ kind, text }, at) => {
    if (kind === "out") out += text;
    else if (kind === "in") put += text;
    else if ((out || put) && /^[^\S\n]+$/.test(text) && at < parts.length - 1) {
      out += text;
      put += text;
    } else {
      flush();
      result.push({ kind, text });
    }
  });
  flush();
  return result;
}

function add(parts, kind, pieces) {
  const text = pieces.join("");
  if (!text) return;
  if (parts.at(-1)?.kind === kind) parts.at(-1).text += text;
  else parts.push({ kind, text });
}

function between(parts, old, now) {
  if (old.length * now.length > MOST) {
    add(parts, "out", old);
    add(parts, "in", now);
    return;
  }
  const common = longest(old, now);
  let i = 0;
  let j = 0;
  while (i < old.length && j < now.length) {
    if (old[i] === now[j]) {
      add(parts, "same", [old[i]]);
      i += 1;
      j += 1;
    } else if (common[i + 1][j] >= common[i][j + 1]) {
      add(parts, "out", [old[i]]);
      i += 1;
    } else {
      add(parts, "in", [now[j]]);
      j += 1;
    }
  }
  add(parts, "out", old.slice(i));
  add(parts, "in", now.slice(j));
}

function longest(old, now) {
  const rows = Array.from({ length: old.length + 1 }, () => new Uint32Array(now.length + 1));
  for (let i = old.length - 1; i >= 0; i -= 1) {
    for (let j = now.length - 1; j >= 0; j -= 1) {
      rows[i][j] = old[i] === now[j] ? rows[i + 1][j + 1] + 1 : Math.max(rows[i + 1][j], rows[i][j + 1]);
    }
  }
  return rows;
}
