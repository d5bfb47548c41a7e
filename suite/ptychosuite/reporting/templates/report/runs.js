"use strict";

/* The table of all runs: found, filtered, sorted. */

const ROWS_AT_ONCE = 200;

if (content.runs.length > 0) {
  const labelOfSeries = ({ series }) => content.series[series]?.label ?? "";
  const labelOfCondition = ({ condition }) => content.conditions[condition]?.label ?? "";
  const columns = [
    { name: "run", label: "run", of: ({ run_id }) => run_id, isText: true },
    { name: "status", label: "status", of: ({ status }) => status, isText: true },
    { name: "line", label: "line", of: labelOfSeries, isText: true },
    { name: "condition", label: "condition", of: labelOfCondition, isText: true },
    ...content.columns.map(({ name, label, better, is_setting }, place) => ({
      name, label, better, of: ({ values }) => values[place],
      isText: content.runs.some(({ values }) => typeof values[place] === "string"),
      isWhole: is_setting || content.runs.every(({ values }) => typeof values[place] !== "number" || Number.isInteger(values[place])),
    })),
  ];

  const statuses = ["completed", "diverged", "failed", "timed-out", "missing"];
  const present = (of) => [...new Set(content.runs.map(of))];
  const choices = {
    status: present(({ status }) => status).sort((a, b) => statuses.indexOf(a) - statuses.indexOf(b)),
    condition: content.conditions.map(({ label }) => label),
    line: content.series.map(({ label }) => label),
  };
  state.define("find", "", () => true);
  for (const [key, values] of Object.entries(choices)) state.define(key, "", oneOf(["", ...values]));
  state.define("sort", "", (text) => text === "" || columns.some(({ name }) => name === text.replace(/^-/, "")));
  state.define("rows", "first", oneOf(["first", "all"]));

  const selects = { status: byId("filter-status"), condition: byId("filter-condition"), line: byId("filter-series") };
  for (const [key, select] of Object.entries(selects)) {
    fill(select, [["", "all"], ...choices[key].map((value) => [value, value])]);
    tie(select, key);
  }
  tie(byId("find"), "find");
  byId("runs-form").addEventListener("submit", (event) => event.preventDefault());
  byId("runs-reset").addEventListener("click", () => state.set({ find: "", status: "", condition: "", line: "" }));

  const searched = content.runs.map((run) =>
    [run.run_id, run.status, labelOfSeries(run), labelOfCondition(run), run.message,
      ...Object.entries(run.settings).flat(), ...run.values.map((value) => written(value))].join(" ").toLowerCase());

  function found() {
    const words = state.get("find").toLowerCase().split(/\s+/).filter(Boolean);
    return content.runs.filter((run, place) =>
      (!state.get("status") || run.status === state.get("status"))
      && (!state.get("condition") || labelOfCondition(run) === state.get("condition"))
      && (!state.get("line") || labelOfSeries(run) === state.get("line"))
      && words.every((word) => searched[place].includes(word)));
  }

  /** Runs that have no value stand last either way. */
  function sorted(runs) {
    const name = state.get("sort").replace(/^-/, "");
    const column = columns.find((one) => one.name === name);
    if (!column) return runs;
    const sign = state.get("sort").startsWith("-") ? -1 : 1;
    const isNone = (value) => value === null || value === undefined || value === "";
    return d3.sort(runs, (one, other) => {
      const [a, b] = [column.of(one), column.of(other)];
      if (isNone(a) || isNone(b)) return isNone(a) - isNone(b);
      return sign * (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true }));
    });
  }

  const headers = columns.map(({ name, label, better, isText }) => {
    const direction = better && better !== "neither" ? `${better} is better` : null;
    const button = element("button", { type: "button", title: direction, click: () => sortBy(name) }, label);
    return { name, header: element("th", { scope: "col", class: isText ? "words" : null }, button) };
  });
  byId("runs-table").classList.toggle("wide", columns.length > 12);
  document.querySelector("#runs-table thead").append(element("tr", {}, ...headers.map(({ header }) => header)));

  /** First ascending, then descending, then as planned. */
  function sortBy(name) {
    const now = state.get("sort");
    state.set({ sort: now === name ? `-${name}` : now === `-${name}` ? "" : name });
  }

  const glyphs = { completed: "●", diverged: "▲", failed: "✕", "timed-out": "◷", missing: "○" };

  function cellOf(run, column) {
    if (column.name === "status") {
      return element("td", { class: "words" }, element("span", { class: `status ${run.status}` },
        element("span", { "aria-hidden": "true" }, glyphs[run.status] ?? ""), ` ${run.status}`));
    }
    return element("td", { class: column.isText ? "words" : null }, column.isText || column.isWhole ? written(column.of(run)) : aligned(column.of(run)));
  }

  const opened = new Set(); // runs whose details are shown

  /** A run's row, and the one with its details where it is open. */
  function rowsOf(run, told) {
    const button = element("button", { type: "button", class: "expand", "aria-expanded": String(opened.has(run)), title: "details" }, run.run_id);
    const row = element("tr", { class: "run" }, element("td", {}, button), ...columns.slice(1).map((column) => cellOf(run, column)));
    button.addEventListener("click", () => {
      const isOpen = opened.delete(run);
      if (!isOpen) opened.add(run);
      button.setAttribute("aria-expanded", String(!isOpen));
      if (isOpen) row.nextElementSibling.remove();
      else row.after(detailsRow(run, columns.length));
    });
    if (isPrinting) return [row, detailsRow(run, columns.length, told)];
    return opened.has(run) ? [row, detailsRow(run, columns.length)] : [row];
  }

  function draw() {
    const runs = sorted(found());
    const isCut = !isPrinting && state.get("rows") === "first" && runs.length > ROWS_AT_ONCE;
    const drawn = isCut ? runs.slice(0, ROWS_AT_ONCE) : runs;
    const told = new Map(); // provenances that stand in print already
    document.querySelector("#runs-table tbody").replaceChildren(...drawn.flatMap((run) => rowsOf(run, told)));
    for (const { name, header } of headers) {
      const sort = state.get("sort");
      header.setAttribute("aria-sort", sort === name ? "ascending" : sort === `-${name}` ? "descending" : "none");
    }
    const isAll = runs.length === content.runs.length;
    byId("runs-count").textContent = `${isAll ? "" : `${runs.length.toLocaleString("en")} of `}${counted(content.runs.length, "run")}${isCut ? `, the first ${ROWS_AT_ONCE} are shown` : ""}`;
    byId("runs-reset").hidden = !["find", "status", "condition", "line"].some((key) => state.get(key));
    byId("runs-more").hidden = !isCut;
    byId("runs-more").textContent = `show all ${runs.length.toLocaleString("en")}`;
  }

  byId("runs-more").addEventListener("click", () => state.set({ rows: "all" }));
  state.listen(["find", "status", "condition", "line", "sort", "rows"], draw);
  addEventListener("beforeprint", draw);
  addEventListener("afterprint", draw);
} else {
  state.define("condition", "", oneOf([""]));
}
