/** What this tab remembers, and no longer than it is open: the key, and who the user is. */

const KEY = "rapport.key";
const USER = "rapport.user";

/** The key; one that came in the address's fragment is kept and taken out of the address. */
export function takeKey() {
  const given = new URLSearchParams(location.hash.slice(1)).get("key");
  if (given) {
    keepKey(given);
    history.replaceState(null, "", location.pathname);
  }
  return sessionStorage.getItem(KEY);
}

export const keepKey = (key) => sessionStorage.setItem(KEY, key);
export const dropKey = () => sessionStorage.removeItem(KEY);

/** The user's name: a random one a visit, until another is chosen. */
export function user() {
  const known = sessionStorage.getItem(USER);
  return known ?? keepUser(`visitor-${randomName()}`);
}

export function keepUser(name) {
  sessionStorage.setItem(USER, name);
  return name;
}

/** 64 random bits in hex; `randomUUID` exists only on HTTPS and loopback. */
export function randomName() {
  const bytes = crypto.getRandomValues(new Uint8Array(8));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
