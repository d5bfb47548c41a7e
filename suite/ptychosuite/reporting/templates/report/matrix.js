"use strict";

/* Cells of the matrix of outcomes narrow the page to their condition and line. */

if (byId("matrix") && content.runs.length > 0) {
  const table = byId("matrix");
  const lines = [...table.tHead.rows[0].cells].slice(1).map(({ textContent }) => textContent);
  const buttons = [];
  for (const row of table.tBodies[0].rows) {
    const condition = row.cells[0].textContent;
    [...row.cells].slice(1).forEach((cell, place) => {
      const isKnown = content.runs.some((run) => content.conditions[run.condition]?.label === condition && content.series[run.series]?.label === lines[place]);
      if (!isKnown) return;
      const [count, ...others] = cell.childNodes;
      const unseen = (text) => element("span", { class: "unseen" }, text);
      const button = element("button", { type: "button", "aria-pressed": "false", click: () => choose(button) },
        unseen(`${condition}, ${lines[place]}: `), count, unseen(" completed "), ...others);
      cell.replaceChildren(button);
      buttons.push({ button, condition, line: lines[place] });
    });
  }

  const isChosen = ({ condition, line }) => condition === state.get("condition") && line === state.get("line");

  function choose(button) {
    const entry = buttons.find((one) => one.button === button);
    state.set(isChosen(entry) ? { condition: "", line: "" } : { condition: entry.condition, line: entry.line });
  }

  byId("matrix-all").addEventListener("click", () => state.set({ condition: "", line: "" }));
  state.listen(["condition", "line"], () => {
    for (const entry of buttons) entry.button.setAttribute("aria-pressed", String(isChosen(entry)));
    byId("matrix-all").hidden = !state.get("condition") && !state.get("line");
  });
}
