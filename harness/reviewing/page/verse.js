// A text as verse: each line by itself, what cannot be seen made visible. All of it as text, never as markup.

const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b\u200e\u200f\u2028\u2029\u202a-\u202e\u2060-\u2069\ufeff]/gu;
const MOST_LINES = 3000; // beyond, one block: a page of lines would take seconds
const ENDLESS = /\S{1000}/; // shaping takes the square of such a run where a font has kerning: half a minute at 100,000
const PROSE = 60; // characters a line, on average

export function showText(element, text) {
  const lines = text.split(/\r\n|\r|\n/);
  const written = lines.filter((line) => line.trim());
  const length = written.reduce((sum, line) => sum + line.length, 0) / Math.max(written.length, 1);
  element.classList.toggle("prose", length > PROSE);
  setLanguage(element, text);
  if (lines.length > MOST_LINES) {
    element.replaceChildren(...visible(lines.join("\n")));
    return;
  }
  element.replaceChildren(...lines.map(shownLine));
}

export function setLanguage(element, text) {
  element.classList.toggle("endless", ENDLESS.test(text));
  // so that the right characters and line breaks are chosen
  if (/[\u3040-\u30ff]/.test(text)) element.lang = "ja";
  else if (/[\uac00-\ud7af]/.test(text)) element.lang = "ko";
  else if (/\p{Script=Han}/u.test(text)) element.lang = "zh";
  else element.removeAttribute("lang");
}

function shownLine(line) {
  const element = document.createElement("div");
  element.className = line.trim() ? "line" : "line blank";
  element.dir = "auto"; // each in its own direction, apart from the others
  element.append(...visible(line));
  return element;
}

function visible(text) {
  const parts = [];
  let from = 0;
  for (const found of text.matchAll(HIDDEN)) {
    if (found.index > from) parts.push(text.slice(from, found.index));
    const mark = document.createElement("span");
    mark.className = "hidden-mark";
    mark.textContent = `U+${found[0].codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
    parts.push(mark);
    from = found.index + found[0].length;
  }
  parts.push(text.slice(from));
  return parts;
}
