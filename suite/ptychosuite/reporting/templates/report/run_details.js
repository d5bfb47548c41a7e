"use strict";

/* What a row of the table opens to. */

function pairsOf(entries) {
  return element("dl", { class: "keys" }, ...entries.map(([key, value]) =>
    element("div", {}, element("dt", {}, key), element("dd", {}, typeof value === "object" ? JSON.stringify(value) : String(value)))));
}

function copyable(text) {
  return element("p", { class: "copyable" }, element("code", {}, text),
    element("button", { type: "button", class: "copy", "aria-label": `Copy: ${text}` }, "copy"));
}

/** A button for each side of the comparison, where the run has a picture. */
function pictureButtons(run) {
  if (!content.pictures.some(({ run_id }) => run_id === run.run_id)) return null;
  const button = (side) => element("button", { type: "button", click: () => state.set({ [side]: run.run_id }) }, `image as ${side.toUpperCase()}`);
  return element("p", { class: "controls" }, button("a"), button("b"));
}

/** Settings, message, provenance, command. `told` holds the provenances that have been written in full: in print each is once. */
function detailsRow(run, columns, told = new Map()) {
  const parts = [];
  const add = (title, ...nodes) => parts.push(element("div", { class: "part" }, element("h3", {}, title), ...nodes));
  if (run.message) add("message", element("pre", {}, run.message));
  if (Object.keys(run.settings).length) add("settings", pairsOf(Object.entries(run.settings)));
  if (run.command) add(run.status === "missing" ? "computes it" : "shows more", copyable(run.command));
  const provenance = content.provenances[run.provenance];
  if (provenance && told.has(run.provenance)) add("provenance", element("p", {}, `as of run ${told.get(run.provenance)}`));
  else if (provenance) {
    add("provenance", pairsOf(Object.entries(provenance)));
    told.set(run.provenance, run.run_id);
  }
  const buttons = pictureButtons(run);
  if (buttons) parts.push(buttons);
  if (parts.length === 0) parts.push(element("p", {}, "Nothing more is on record."));
  return element("tr", { class: "details" }, element("td", { colspan: columns }, element("div", { class: "inner" }, ...parts)));
}
