// The page: what is shown, what a key or a click does, and when it does nothing.
//
// A key is for the text that is on the screen as it is pressed. While a decision is being saved, and for a moment after
// the next text is there, keys do nothing: none is kept for a text that nobody has seen.

import { ask, save, send, tell, waiting } from "./ask.js";
import { showChanges } from "./changes.js";
import { isComposing, isField, meaning } from "./keys.js";
import { drop, get, getHere, put, putHere, shelfOf } from "./shelf.js";
import { setLanguage, showText } from "./verse.js";

const RETRY = 2000; // milliseconds
const SAID = { accept: "Accepted", edit: "Edited", skip: "Skipped", delete: "Deleted" };
const SAID_OF_TWO = { left: "Left", right: "Right", tie: "Equal", skip: "Skipped" };
const $ = (id) => document.getElementById(id);

let about; // what the server says of itself once: review, reviewer, pause
let reviewer;
let look = { mode: "texts", theme: null, state: "open" };
let view; // what the server said last
let phase = "loading"; // ready, busy (saving), resting, editing, unsaved
let retry;

function enter(next) {
  phase = next;
  document.body.dataset.phase = next;
}

// ---- showing

function show(next, { rest = false } = {}) {
  view = next;
  look = { ...look, mode: view.mode };
  const { item, counts } = view;
  const pairs = view.mode === "pairs";
  closeEditor();
  $("counted").textContent = `${counts.total - counts.left} of ${counts.total} decided · ${counts.left} left`;
  $("progress").max = Math.max(counts.total, 1);
  $("progress").value = counts.total - counts.left;
  $("one").hidden = pairs || !item;
  $("two").hidden = !pairs || !item;
  $("done").hidden = Boolean(item);
  $("noted").hidden = !item;
  if (item && pairs) showPair(item);
  else if (item) showOne(item);
  else showDone(counts);
  showKeys();
  scrollTo(0, 0);
  const paint = () => {
    enter(rest && about.pause > 0 ? "resting" : "ready");
    if (phase === "resting") setTimeout(() => phase === "resting" && enter("ready"), about.pause * 1000);
  };
  if (rest) requestAnimationFrame(() => requestAnimationFrame(paint));
  else paint();
}

function showOne(item) {
  $("one").dataset.item = item.key;
  $("title").textContent = item.theme;
  $("title").dir = "auto";
  $("title-edit").textContent = item.theme;
  setLanguage($("title"), item.theme);
  showText($("text"), item.texts[0]);
  $("edited").hidden = item.edited === null;
  setLanguage($("edited-text"), item.edited ?? "");
  if (item.edited !== null) showChanges($("edited-text"), plain(item.texts[0]), item.edited);
  showNote(item, SAID);
}

function showPair(item) {
  $("two").dataset.item = item.key;
  $("title-two").textContent = item.theme;
  showText($("left"), item.texts[0]);
  showText($("right"), item.texts[1]);
  showNote(item, SAID_OF_TWO);
}

function showNote(item, words) {
  $("note").value = get(draft("note")) ?? item.note;
  $("stands").textContent = item.decision ? words[item.decision] : "";
}

function showDone(counts) {
  delete $("one").dataset.item;
  delete $("two").dataset.item;
  const filtered = look.theme !== null || look.state !== "open";
  $("done-title").textContent = filtered ? "Nothing here" : "Nothing is left";
  const said = Object.entries(look.mode === "pairs" ? SAID_OF_TWO : SAID)
    .filter(([name]) => counts[name])
    .map(([name, word]) => `${counts[name]} ${word.toLowerCase()}`);
  const after = filtered ? "" : "M shows what this review says of itself, and writes the files";
  $("done-said").textContent = [...said, after].filter(Boolean).join(" · ");
}

function showKeys() {
  const editing = phase === "editing";
  $("keys-one").hidden = look.mode === "pairs" || editing;
  $("keys-two").hidden = look.mode !== "pairs" || editing;
  $("keys-edit").hidden = !editing;
  for (const button of document.querySelectorAll(".keys button")) {
    button.disabled = button.dataset.action === "undo" ? view.undo === null : !view.item;
  }
  $("mode").setAttribute("aria-pressed", String(look.mode === "pairs"));
  $("who-open").textContent = reviewer;
  showStates(look.mode === "pairs" ? SAID_OF_TWO : SAID);
}

function showStates(words) {
  const states = { open: "Open", ...words, all: "All" };
  const there = Array.from($("state").options, (option) => option.value);
  if (there.join() !== Object.keys(states).join()) {
    $("state").replaceChildren(...Object.entries(states).map(([name, word]) => new Option(word, name)));
  }
  $("state").value = look.state;
}

function say(words, { alert = false, again = false } = {}) {
  $("message").hidden = !alert;
  $("again").hidden = !again;
  if ($("message-said").textContent !== (alert ? words : "")) $("message-said").textContent = alert ? words : "";
  $("status").textContent = alert ? "" : words;
}

// ---- deciding

const who = () => ({ reviewer, ...look });
const plain = (text) => text.replace(/\r\n?/g, "\n");
const draft = (kind) => `draft:${kind}:${reviewer}:${view.item.key}`;

async function decide(decision, { edited = null, stay = false } = {}) {
  const { item } = view;
  const body = { ...who(), item: item.key, revision: item.revision, decision, edited, note: $("note").value, stay };
  const words = look.mode === "pairs" ? SAID_OF_TWO : SAID;
  const said = decision && !stay ? words[decision] : "Noted";
  await saving(said, () => save("/api/say", body), [draft("note"), ...(stay ? [] : [draft("text")])], !stay);
}

async function undo() {
  if (view.undo === null) return;
  await saving("Undone", () => save("/api/undo", { ...who(), newest: view.undo }), [], true);
}

async function saving(words, attempt, drafts, rest) {
  enter("busy");
  await trying(words, attempt, drafts, rest);
}

async function trying(words, attempt, drafts, rest) {
  try {
    taken(await attempt(), words, drafts, rest);
  } catch (failure) {
    await failed(failure, words, drafts, rest);
  }
}

function taken(next, words, drafts, rest) {
  clearTimeout(retry);
  drafts.forEach(drop);
  const { undone } = next;
  if (undone?.decision && undone.edited !== null) put(`draft:text:${reviewer}:${undone.item}`, undone.edited);
  if (undone?.decision && undone.note) put(`draft:note:${reviewer}:${undone.item}`, undone.note);
  show(next, { rest });
  say(`${words}. ${next.counts.left} left.`);
}

async function failed(failure, words, drafts, rest) {
  if (failure.mayBeTriedAgain) {
    enter("unsaved");
    say(`Not saved. ${failure.message} What you decided is kept here and tried again.`, { alert: true, again: true });
    let begun = false; // one attempt at a time, or a late reply would show what is past
    const attempt = () => {
      clearTimeout(retry);
      if (begun) return undefined;
      begun = true;
      return trying(words, () => send(failure.waiting, failure.kept), drafts, rest);
    };
    $("again").onclick = attempt;
    clearTimeout(retry);
    retry = setTimeout(attempt, RETRY);
    return;
  }
  if (failure.fault === "refused") {
    enter($("editor").hidden ? "ready" : "editing");
    say(sentence(failure.message), { alert: true });
    return;
  }
  await reload();
  say(sentence(failure.message), { alert: true });
}

const sentence = (words) => `${words[0].toUpperCase()}${words.slice(1)}.`.replace(/\.\.$/, ".");

async function reload(at = view?.item?.key, step = 0) {
  try {
    show(await ask("/api/view", { ...who(), at, step }));
    return true;
  } catch (failure) {
    enter("ready");
    say(`${failure.message} Nothing is lost: load the page again when it runs.`, { alert: true });
    return false;
  }
}

async function browse(step) {
  enter("busy");
  if (await reload(view.item?.key, step)) say("");
}

// ---- editing

function edit() {
  const { item } = view;
  $("box").value = get(draft("text")) ?? item.edited ?? plain(item.texts[0]);
  for (const id of ["box", "changes"]) setLanguage($(id), $("box").value);
  $("one").hidden = true;
  $("editor").hidden = false;
  enter("editing");
  showKeys();
  showChanges($("changes"), plain(item.texts[0]), $("box").value);
  $("box").focus();
  $("box").setSelectionRange(0, 0);
  $("box").scrollTop = 0;
}

function closeEditor() {
  if ($("editor").hidden) return;
  $("editor").hidden = true;
  $("box").blur();
}

function leaveEditor() {
  closeEditor();
  $("one").hidden = false;
  enter("ready");
  showKeys();
}

async function saveEdit() {
  const edited = plain($("box").value);
  const { item } = view;
  if (!edited.trim()) {
    say("An edited text must not be empty: delete it instead.", { alert: true });
    return;
  }
  if (edited === plain(item.texts[0])) {
    say("Nothing is changed: accept it instead, or change it.", { alert: true });
    return;
  }
  await decide("edit", { edited });
}

let typed;
function boxChanged() {
  clearTimeout(typed);
  typed = setTimeout(() => {
    if (phase !== "editing") return;
    for (const id of ["box", "changes"]) setLanguage($(id), $("box").value);
    showChanges($("changes"), plain(view.item.texts[0]), plain($("box").value));
    put(draft("text"), $("box").value);
  }, 80);
}

// ---- notes, filters, dialogs

async function keepNote() {
  const { item } = view;
  if (phase !== "ready" || !item || $("note").value.trim() === item.note) return;
  await decide(item.decision, { edited: item.edited, stay: true });
}

async function filter(change) {
  look = { ...look, ...change };
  enter("busy");
  if (await reload(null)) say(`${view.counts.left} left.`);
}

async function listThemes() {
  const themes = await ask("/api/themes", who());
  const chosen = look.theme ?? "";
  const options = themes.map(({ theme, of }) => new Option(`${theme} (${of})`, theme));
  $("theme").replaceChildren(new Option("All themes", ""), ...options);
  $("theme").value = chosen;
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
  $("name").value = reviewer;
  $("who").showModal();
  $("name").select();
}

async function named() {
  const name = $("name").value.trim();
  if ($("who").returnValue !== "take" || !name || name === reviewer) return;
  reviewer = name;
  putHere("name", name);
  await reload(null);
}

// ---- keys and clicks

const ACTIONS = {
  accept: () => decide("accept"),
  skip: () => decide("skip"),
  delete: () => decide("delete"),
  left: () => decide("left"),
  right: () => decide("right"),
  tie: () => decide("tie"),
  edit,
  undo,
  note: () => $("note").focus(),
  before: () => browse(-1),
  after: () => browse(1),
  mode: () => filter({ mode: look.mode === "pairs" ? "texts" : "pairs", state: "open", theme: null }),
  measures: openMeasures,
  help: () => $("help").showModal(),
};
const WITHOUT_ITEM = new Set(["undo", "mode", "measures", "help"]);

function act(action) {
  if (phase === "editing" && action === "save") return saveEdit();
  if (phase === "editing" && action === "leave") return leaveEditor();
  if (phase !== "ready" || (!view.item && !WITHOUT_ITEM.has(action))) return undefined;
  return ACTIONS[action]?.();
}

function onKey(event) {
  if (isComposing(event) || document.querySelector("dialog[open]")) return;
  if (event.repeat && event.target.closest?.("button")) event.preventDefault(); // a held key presses it once
  if (isField(event.target)) {
    if (event.target.matches("select") && event.key === "Escape") event.target.blur();
    if (event.target === $("box")) inBox(event);
    else if (event.target === $("note") && ["Enter", "Escape"].includes(event.key)) $("note").blur();
    return;
  }
  const action = meaning(event, look.mode);
  if (action === null) return;
  event.preventDefault();
  act(action);
}

function inBox(event) {
  if (event.key === "Escape") act("leave");
  else if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.repeat) act("save");
  else return;
  event.preventDefault();
}

function listen() {
  document.addEventListener("keydown", onKey);
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-action]");
    if (!button || button.disabled) return;
    if (event.detail > 0) button.blur(); // else the space bar, meant to scroll, would press it again
    act(button.dataset.action);
  });
  $("box").addEventListener("input", boxChanged);
  $("note").addEventListener("input", () => view.item && put(draft("note"), $("note").value));
  $("note").addEventListener("blur", (event) => {
    if (!event.relatedTarget?.closest?.("[data-action]")) keepNote(); // a decision takes the note with it
  });
  $("state").addEventListener("change", (event) => {
    event.target.blur();
    filter({ state: event.target.value });
  });
  $("theme").addEventListener("change", (event) => {
    event.target.blur();
    filter({ theme: event.target.value || null });
  });
  $("mode").addEventListener("click", () => act("mode"));
  $("measures-open").addEventListener("click", () => act("measures"));
  $("help-open").addEventListener("click", () => act("help"));
  $("who-open").addEventListener("click", openWho);
  $("who").addEventListener("close", named);
  $("write").addEventListener("click", write);
}

// What an earlier page could not save: a tab that was closed, or a server that was gone. Returns what was refused.
async function sendWaiting() {
  let refused = "";
  for (const name of waiting()) {
    try {
      await send(name);
    } catch (failure) {
      if (failure.mayBeTriedAgain) throw failure;
      drop(name);
      refused = `A decision that waited was not taken: ${failure.message}.`;
    }
  }
  return refused;
}

async function begin() {
  try {
    about ??= JSON.parse(document.documentElement.dataset.about);
    shelfOf(about.review);
    reviewer = getHere("name") ?? about.reviewer;
    putHere("name", reviewer);
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
