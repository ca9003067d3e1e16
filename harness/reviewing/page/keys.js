// From a key to what it means. A key that is held, that composes a character or goes into a field means nothing here.

const ALWAYS = { u: "undo", n: "note", m: "measures", p: "mode", "?": "help" };
const ONE = { a: "accept", e: "edit", s: "skip", d: "delete", ArrowLeft: "before", ArrowRight: "after" };
const TWO = { 1: "left", 2: "right", 0: "tie", s: "skip", ArrowLeft: "left", ArrowRight: "right" };

export function meaning(event, mode) {
  if (isComposing(event) || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return null;
  const keys = { ...ALWAYS, ...(mode === "pairs" ? TWO : ONE) };
  return keys[event.key] ?? keys[letter(event)] ?? null;
}

export function isComposing(event) {
  return event.isComposing || event.keyCode === 229;
}

export function isField(element) {
  return element instanceof Element && element.closest("input, textarea, select, [contenteditable]") !== null;
}

// where the keyboard writes other letters than Latin ones, the place of the key counts
function letter(event) {
  if (/^[a-z]$/i.test(event.key)) return event.key.toLowerCase();
  if (event.key.length === 1 && event.key.charCodeAt(0) > 127) return event.code.replace("Key", "").toLowerCase();
  return event.key;
}
