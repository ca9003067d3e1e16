// The editor: the text with its lines, and beside it what was changed. A draft is kept with each key.

import { showChanges } from "./changes.js";
import { $, draft, enter, page, plain, say } from "./page.js";
import { get, put } from "./shelf.js";
import { showKeys } from "./sight.js";
import { setLanguage } from "./verse.js";

const PATIENCE = 80; // milliseconds between a key and what it changed

let typed;

export function openEditor() {
  const { item } = page.view;
  $("box").value = get(draft("text")) ?? item.edited ?? plain(item.texts[0]);
  $("one").hidden = true;
  $("editor").hidden = false;
  enter("editing");
  showKeys();
  compare();
  $("box").focus();
  $("box").setSelectionRange(0, 0);
  $("box").scrollTop = 0;
}

export function leaveEditor() {
  $("editor").hidden = true;
  $("box").blur();
  $("one").hidden = false;
  enter("ready");
  showKeys();
}

// The edited text; null where there is nothing to save, which it says.
export function edited() {
  const text = plain($("box").value);
  if (text.trim() && text !== plain(page.view.item.texts[0])) return text;
  const why = text.trim() ? "Nothing is changed: accept it instead, or change it." : "";
  say(why || "An edited text must not be empty: delete it instead.", { alert: true });
  return null;
}

export function boxChanged() {
  if (page.phase !== "editing") return;
  put(draft("text"), $("box").value);
  clearTimeout(typed);
  typed = setTimeout(() => page.phase === "editing" && compare(), PATIENCE);
}

function compare() {
  for (const id of ["box", "changes"]) setLanguage($(id), $("box").value);
  showChanges($("changes"), plain(page.view.item.texts[0]), plain($("box").value));
}
