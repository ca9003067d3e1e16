// What this browser keeps: names, drafts, and decisions that the server has not acknowledged. Never throws.

let prefix = "review:";

export function shelfOf(review) {
  prefix = `review:${review}:`;
}

export function put(name, value) {
  try {
    localStorage.setItem(prefix + name, JSON.stringify(value));
  } catch {
    // full or forbidden: what was typed stays in the page
  }
}

export function get(name) {
  return read(() => localStorage, name);
}

// this tab's own, else what another tab left: two people may share a browser
export function getHere(name) {
  return read(() => sessionStorage, name) ?? get(name);
}

export function putHere(name, value) {
  put(name, value);
  try {
    sessionStorage.setItem(prefix + name, JSON.stringify(value));
  } catch {
    // as above
  }
}

function read(storage, name) {
  try {
    return JSON.parse(storage().getItem(prefix + name) ?? "null");
  } catch {
    return null;
  }
}

export function drop(name) {
  try {
    localStorage.removeItem(prefix + name);
  } catch {
    // as above
  }
}

export function names(start) {
  try {
    return Object.keys(localStorage)
      .filter((name) => name.startsWith(prefix + start))
      .map((name) => name.slice(prefix.length));
  } catch {
    return [];
  }
}
