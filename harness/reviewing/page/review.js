// What a key or a click does, and when it does nothing.
//
// A key is for the text that is on the screen as it is pressed. While a decision is being saved, and for a moment after
// the next text is there, keys do nothing: none is kept for a text that nobody has seen.

import { ask, tell } from "./ask.js";
import { decide, keepNote, look, saveEdit, sendWaiting, undo } from "./deciding.js";
import { boxChanged, leaveEditor, openEditor } from "./editor.js";
import { isComposing, isField, meaning } from "./keys.js";
import { $, RETRY, draft, enter, page, say, who } from "./page.js";
import { getHere, put, putHere, shelfOf } from "./shelf.js";
import { show } from "./sight.js";

const ACTIONS = {
  accept: () => decide("accept"),
  skip: () => decide("skip"),
  delete: () => decide("delete"),
  left: () => decide("left"),
  right: () => decide("right"),
  tie: () => decide("tie"),
  edit: openEditor,
  undo,
  note: () => $("note").focus(),
  before: () => browse(-1),
  after: () => browse(1),
  mode: () => filter({ mode: page.look.mode === "pairs" ? "texts" : "pairs", state: "open", theme: null }),
  measures: openMeasures,
  help: () => $("help").showModal(),
};
const WITHOUT_ITEM = new Set(["undo", "mode", "measures", "help"]);

function act(action) {
  if (page.phase === "editing" && action === "save") return saveEdit();
  if (page.phase === "editing" && action === "leave") return leaveEditor();
  if (page.phase !== "ready" || (!page.view.item && !WITHOUT_ITEM.has(action))) return undefined;
  return ACTIONS[action]?.();
}

function onKey(event) {
  if (isComposing(event) || document.querySelector("dialog[open]")) return;
  if (event.repeat && event.target.closest?.("button")) event.preventDefault(); // a held key presses it once
  if (isField(event.target)) {
    inField(event);
    return;
  }
  const action = meaning(event, page.look.mode);
  if (action === null) return;
  event.preventDefault();
  act(action);
}

function inField(event) {
  const { target, key } = event;
  if (target === $("box") && key === "Escape") act("leave");
  else if (target === $("box") && key === "Enter" && (event.ctrlKey || event.metaKey) && !event.repeat) act("save");
  else if (target === $("note") && ["Enter", "Escape"].includes(key)) target.blur();
  else if (target.matches("select") && key === "Escape") target.blur();
  else return;
  event.preventDefault();
}

function onClick(event) {
  const button = event.target.closest?.("[data-action]");
  if (!button || button.disabled) return;
  if (event.detail > 0) button.blur(); // else the space bar, meant to scroll, would press it again
  act(button.dataset.action);
}

async function browse(step) {
  enter("busy");
  if (await look(page.view.item?.key, step)) say("");
}

async function filter(change) {
  const can = page.phase === "ready" || page.phase === "editing"; // else something is being saved, and comes first
  if (can) page.look = { ...page.look, ...change };
  $("theme").value = page.look.theme ?? "";
  $("state").value = page.look.state;
  if (!can) return;
  enter("busy");
  if (await look(null)) say(`${page.view.counts.left} left.`);
}

async function listThemes() {
  const themes = await ask("/api/themes", who());
  const options = themes.map(({ theme, of }) => new Option(`${theme} (${of})`, theme));
  $("theme").replaceChildren(new Option("All themes", ""), ...options);
  $("theme").value = page.look.theme ?? "";
}

async function openMeasures() {
  $("written").hidden = true;
  $("shares").replaceChildren();
  $("measures").showModal();
  const shares = await ask("/api/measures", who()).catch((failure) => [{ what: failure.message, said: "" }]);
  $("shares").replaceChildren(
    ...shares.map(({ what, said }) => {
      const row = document.createElement("tr");
      for (const words of [what, said]) row.insertCell().textContent = words;
      return row;
    }),
  );
}

async function write() {
  try {
    const { files } = await tell("/api/export", {});
    $("written").textContent = `Written: ${files.join(", ")}`;
  } catch (failure) {
    $("written").textContent = `Not written: ${failure.message}`;
  }
  $("written").hidden = false;
}

function openWho() {
  if (page.phase !== "ready") return;
  $("name").value = page.reviewer;
  $("who").showModal();
  $("name").select();
}

async function named() {
  const name = $("name").value.trim();
  if ($("who").returnValue !== "take" || !name || name === page.reviewer) return;
  page.reviewer = name;
  putHere("name", name);
  await look(null);
}

function listen() {
  if (/Mac|iP/.test(navigator.platform)) {
    for (const key of document.querySelectorAll("kbd.command")) key.textContent = "⌘ ↵";
  }
  document.addEventListener("keydown", onKey);
  document.addEventListener("click", onClick);
  $("box").addEventListener("input", boxChanged);
  $("note").addEventListener("input", () => page.view.item && put(draft("note"), $("note").value));
  $("note").addEventListener("blur", (event) => {
    if (!event.relatedTarget?.closest?.("[data-action]")) keepNote(); // a decision takes the note with it
  });
  for (const id of ["state", "theme"]) {
    $(id).addEventListener("change", (event) => {
      event.target.blur();
      filter({ [id]: event.target.value || null });
    });
  }
  $("mode").addEventListener("click", () => act("mode"));
  $("measures-open").addEventListener("click", () => act("measures"));
  $("help-open").addEventListener("click", () => act("help"));
  $("who-open").addEventListener("click", openWho);
  $("who").addEventListener("close", named);
  $("write").addEventListener("click", write);
}

async function begin() {
  try {
    page.about ??= JSON.parse(document.documentElement.dataset.about);
    shelfOf(page.about.review);
    page.reviewer = getHere("name") ?? page.about.reviewer;
    putHere("name", page.reviewer);
    const refused = await sendWaiting();
    show(await ask("/api/view", who()));
    say(refused, { alert: refused !== "" });
  } catch (failure) {
    say(`${failure.message} Trying again.`, { alert: true });
    setTimeout(begin, RETRY);
    return;
  }
  performance.mark("first text");
  listen();
  (window.requestIdleCallback ?? setTimeout)(() => listThemes().catch(() => {}));
}

begin();
