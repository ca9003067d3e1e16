// Questions to the server. What is to be saved is kept in the browser until the server has it.

import { drop, get, names, put } from "./shelf.js";

const PATIENCE = 15_000; // milliseconds

// `fault`: unanswered (nobody knows whether it was saved), unsaved, stale, unknown or refused
export class Failure extends Error {
  constructor(fault, said) {
    super(said);
    this.fault = fault;
  }

  get mayBeTriedAgain() {
    return this.fault === "unanswered" || this.fault === "unsaved";
  }
}

export async function ask(path, words = {}) {
  const query = new URLSearchParams(Object.entries(words).filter(([, value]) => value !== null && value !== undefined));
  return answer(`${path}?${query}`, {});
}

export async function tell(path, body) {
  return answer(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
}

// Each attempt has a name of its own, so that trying again does not save it twice.
export async function save(path, body) {
  const request = Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0"));
  const waiting = `waiting:${Date.now()}:${request.join("")}`;
  put(waiting, { path, body: { ...body, request: request.join("") } });
  return send(waiting, { path, body: { ...body, request: request.join("") } });
}

export function waiting() {
  return names("waiting:").sort();
}

export async function send(name, kept = get(name)) {
  try {
    const said = await tell(kept.path, kept.body);
    drop(name);
    return said;
  } catch (failure) {
    failure.waiting = name;
    failure.kept = kept;
    if (!failure.mayBeTriedAgain && failure.fault !== "unknown") drop(name);
    throw failure;
  }
}

async function answer(address, options) {
  let reply;
  let said;
  try {
    reply = await fetch(address, { ...options, cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
    said = await reply.json();
  } catch {
    throw new Failure("unanswered", "The server does not answer.");
  }
  if (reply.ok) return said;
  throw new Failure(said.fault ?? "refused", said.said ?? `The server says ${reply.status}.`);
}
