// What the page knows, in one place, and the few words that its parts share.

export const RETRY = 2000; // milliseconds
export const $ = (id) => document.getElementById(id);
export const plain = (text) => text.replace(/\r\n?/g, "\n");

// about: what the server says of itself once; look: what is to be seen; view: what the server said last
// phase: ready, busy (saving), resting (keys do nothing for a moment), editing, unsaved
export const page = {
  about: null,
  reviewer: null,
  look: { mode: "texts", theme: null, state: "open" },
  view: null,
  phase: "loading",
};

export const who = () => ({ reviewer: page.reviewer, ...page.look });
export const draft = (kind, item = page.view.item.key) => `draft:${kind}:${page.reviewer}:${item}`;

export function decisions() {
  return page.look.mode === "pairs"
    ? { left: "Left", right: "Right", tie: "Equal", skip: "Skipped" }
    : { accept: "Accepted", edit: "Edited", skip: "Skipped", delete: "Deleted" };
}

export function enter(phase) {
  page.phase = phase;
  document.body.dataset.phase = phase;
}

// `alert`: it stays on the screen until something else is said; else it is for those who hear the page
export function say(words, { alert = false, again = false } = {}) {
  const shown = alert ? words : "";
  $("message").hidden = !alert;
  $("again").hidden = !again;
  if ($("message-said").textContent !== shown) $("message-said").textContent = shown;
  $("status").textContent = alert ? "" : words;
}
