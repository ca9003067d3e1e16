// What is decided goes to the server, and the page waits for it: nothing is lost, and nothing is said of the wrong text.

import { ask, save, send, waiting } from "./ask.js";
import { edited } from "./editor.js";
import { $, RETRY, decisions, draft, enter, page, say, who } from "./page.js";
import { drop, put } from "./shelf.js";
import { show } from "./sight.js";

let retry;

export async function decide(decision, { text = null, stay = false } = {}) {
  const { item } = page.view;
  const body = { item: item.key, revision: item.revision, decision, edited: text, note: $("note").value, stay };
  const done = {
    said: decision && !stay ? decisions()[decision] : "Noted",
    drafts: [draft("note"), ...(stay ? [] : [draft("text")])],
    rest: !stay,
  };
  enter("busy");
  await trying(() => save("/api/say", { ...who(), ...body }), done);
}

export async function saveEdit() {
  const text = edited();
  if (text !== null) await decide("edit", { text });
}

export async function keepNote() {
  const { item } = page.view;
  if (page.phase !== "ready" || !item || $("note").value.trim() === item.note) return;
  await decide(item.decision, { text: item.edited, stay: true });
}

export async function undo() {
  if (page.view.undo === null) return;
  enter("busy");
  const body = { ...who(), newest: page.view.undo };
  await trying(() => save("/api/undo", body), { said: "Undone", drafts: [], rest: true });
}

// `done`: what to say, which drafts are of no use then, and whether keys rest
async function trying(attempt, done) {
  try {
    taken(await attempt(), done);
  } catch (failure) {
    await failed(failure, done);
  }
}

function taken(view, { said, drafts, rest }) {
  clearTimeout(retry);
  drafts.forEach(drop);
  const { undone } = view;
  if (undone?.decision && undone.edited !== null) put(draft("text", undone.item), undone.edited);
  if (undone?.decision && undone.note) put(draft("note", undone.item), undone.note);
  show(view, { rest });
  say(`${said}. ${view.counts.left} left.`);
}

async function failed(failure, done) {
  if (failure.mayBeTriedAgain) {
    enter("unsaved");
    say(`Not saved. ${failure.message} What you decided is kept here and tried again.`, { alert: true, again: true });
    tryAgain(failure, done);
  } else if (failure.fault === "refused") {
    enter($("editor").hidden ? "ready" : "editing");
    say(sentence(failure.message), { alert: true });
  } else {
    await look();
    say(sentence(failure.message), { alert: true });
  }
}

function tryAgain({ waiting: name, kept }, done) {
  let begun = false; // one attempt at a time, or a late reply would show what is past
  const attempt = () => {
    clearTimeout(retry);
    if (begun) return;
    begun = true;
    trying(() => send(name, kept), done);
  };
  $("again").onclick = attempt;
  clearTimeout(retry);
  retry = setTimeout(attempt, RETRY);
}

// The item `at`, or what follows it by `step`; returns whether there was an answer.
export async function look(at = page.view?.item?.key, step = 0) {
  try {
    show(await ask("/api/view", { ...who(), at, step }));
    return true;
  } catch (failure) {
    enter("ready");
    say(`${failure.message} Nothing is lost: load the page again when it runs.`, { alert: true });
    return false;
  }
}

// What an earlier page could not save: a tab that was closed, or a server that was gone. Returns what was refused.
export async function sendWaiting() {
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

const sentence = (words) => `${words[0].toUpperCase()}${words.slice(1)}.`.replace(/\.\.$/, ".");
