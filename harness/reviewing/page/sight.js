// What is on the screen: a text or two, what is left, and what can be done.

import { showChanges } from "./changes.js";
import { $, decisions, draft, enter, page, plain } from "./page.js";
import { get } from "./shelf.js";
import { setLanguage, showText } from "./verse.js";

// `rest`: keys do nothing until the next text has been there for a moment
export function show(view, { rest = false } = {}) {
  page.view = view;
  page.look = { ...page.look, mode: view.mode };
  const { item, counts } = view;
  const pairs = view.mode === "pairs";
  $("counted").textContent = `${counts.total - counts.left} of ${counts.total} decided · ${counts.left} left`;
  $("progress").max = Math.max(counts.total, 1);
  $("progress").value = counts.total - counts.left;
  $("editor").hidden = true;
  $("box").blur();
  $("one").hidden = pairs || !item;
  $("two").hidden = !pairs || !item;
  $("done").hidden = Boolean(item);
  $("noted").hidden = !item;
  if (item) (pairs ? showPair : showOne)(item);
  else showDone(counts.said);
  showKeys();
  scrollTo(0, 0);
  if (rest) requestAnimationFrame(() => requestAnimationFrame(awake));
  else enter("ready");
}

// now that it is painted
function awake() {
  const { pause } = page.about;
  enter(pause > 0 ? "resting" : "ready");
  if (pause > 0) setTimeout(() => page.phase === "resting" && enter("ready"), pause * 1000);
}

function showOne(item) {
  $("one").dataset.item = item.key;
  for (const id of ["title", "title-edit"]) showTitle($(id), item.theme);
  showText($("text"), item.texts[0]);
  $("edited").hidden = item.edited === null;
  setLanguage($("edited-text"), item.edited ?? "");
  if (item.edited !== null) showChanges($("edited-text"), plain(item.texts[0]), item.edited);
  showNote(item);
}

function showPair(item) {
  $("two").dataset.item = item.key;
  showTitle($("title-two"), item.theme);
  showText($("left"), item.texts[0]);
  showText($("right"), item.texts[1]);
  showNote(item);
}

function showTitle(element, theme) {
  element.textContent = theme;
  element.dir = "auto";
  setLanguage(element, theme);
}

function showNote(item) {
  $("note").value = get(draft("note")) ?? item.note;
  $("stands").textContent = item.decision ? decisions()[item.decision] : "";
}

function showDone(said) {
  delete $("one").dataset.item;
  delete $("two").dataset.item;
  const filtered = page.look.theme !== null || page.look.state !== "open";
  $("done-title").textContent = filtered ? "Nothing here" : "Nothing is left";
  const numbers = Object.entries(decisions())
    .filter(([name]) => said[name])
    .map(([name, word]) => `${said[name]} ${word.toLowerCase()}`);
  const after = filtered ? "" : "M shows what this review says of itself, and writes the files";
  $("done-said").textContent = [...numbers, after].filter(Boolean).join(" · ");
}

export function showKeys() {
  const pairs = page.look.mode === "pairs";
  const editing = page.phase === "editing";
  $("keys-one").hidden = pairs || editing;
  $("keys-two").hidden = !pairs || editing;
  $("keys-edit").hidden = !editing;
  for (const button of document.querySelectorAll(".keys button")) {
    button.disabled = button.dataset.action === "undo" ? page.view.undo === null : !page.view.item;
  }
  $("mode").setAttribute("aria-pressed", String(pairs));
  $("who-open").textContent = page.reviewer;
  showStates();
}

function showStates() {
  const states = { open: "Open", ...decisions(), all: "All" };
  const there = Array.from($("state").options, (option) => option.value);
  if (there.join() !== Object.keys(states).join()) {
    $("state").replaceChildren(...Object.entries(states).map(([name, word]) => new Option(word, name)));
  }
  $("state").value = page.look.state;
}
