"use strict";

/* What is chosen on the page. It lives in the address, as #metric=error&hide=rPIE, so that a view can be sent. */

const state = (() => {
  const known = new Map(); // key -> {initial, value, accepts}
  const listeners = [];
  const QUIET_MS = 200; // browsers refuse an address that changes with every movement of a slider
  let writing = null;

  /** A choice: what it is at first, and which texts it may be. Anything else in an address is ignored. */
  function define(key, initial, accepts) {
    known.set(key, { initial: String(initial), value: String(initial), accepts });
  }

  const get = (key) => known.get(key).value;

  /** Call `listener` whenever one of `keys` has changed, and once at the start. */
  function listen(keys, listener) {
    listeners.push({ keys, listener });
  }

  function set(changes) {
    const changed = Object.entries(changes).filter(([key, value]) => get(key) !== String(value));
    for (const [key, value] of changed) known.get(key).value = String(value);
    if (changed.length === 0) return;
    clearTimeout(writing);
    writing = setTimeout(write, QUIET_MS);
    tell(new Set(changed.map(([key]) => key)));
  }

  function tell(changed) {
    for (const { keys, listener } of listeners) if (keys.some((key) => changed.has(key))) listener();
  }

  /** Only what differs from the start is written. */
  function write() {
    const chosen = [...known].filter(([, entry]) => entry.value !== entry.initial);
    const text = chosen.map(([key, entry]) => `${key}=${readable(entry.value)}`).join("&");
    history.replaceState(null, "", text ? `#${text}` : location.pathname + location.search);
  }

  const readable = (text) =>
    encodeURIComponent(text).replace(/%20/g, "+").replace(/%(3A|2C|7C|2F|40)/g, decodeURIComponent);

  function read() {
    const found = new URLSearchParams(location.hash.slice(1));
    const changed = new Set();
    for (const [key, entry] of known) {
      const asked = found.get(key);
      const value = asked !== null && entry.accepts(asked) ? asked : entry.initial;
      if (value !== entry.value) changed.add(key);
      entry.value = value;
    }
    return changed;
  }

  /** Read the address and draw everything for the first time. */
  function start() {
    read();
    for (const { listener } of listeners) listener();
    addEventListener("pagehide", write);
    addEventListener("hashchange", () => {
      if (location.hash.includes("=")) tell(read()); // else it leads to a place on the page
    });
  }

  return { define, get, set, listen, start };
})();

/** Accepts any of `values`. */
const oneOf = (values) => (text) => values.map(String).includes(text);

/** Accepts whole numbers from `low` to `high`. */
const within = (low, high) => (text) => /^\d+$/.test(text) && Number(text) >= low && Number(text) <= high;

/** Tie a select, a search field, a slider or a checkbox to a choice; a checkbox stands for `on` or `off`. */
function tie(control, key, on = "yes", off = "no") {
  const isBox = control.type === "checkbox";
  control.addEventListener("input", () => state.set({ [key]: isBox ? (control.checked ? on : off) : control.value }));
  state.listen([key], () => {
    if (isBox) control.checked = state.get(key) === on;
    else if (control.value !== state.get(key)) control.value = state.get(key);
  });
}

/** Tie a group of radio buttons to a choice. */
function tieRadios(name, key) {
  for (const radio of document.querySelectorAll(`input[name="${name}"]`)) {
    radio.addEventListener("change", () => state.set({ [key]: radio.value }));
    state.listen([key], () => (radio.checked = state.get(key) === radio.value));
  }
}
