"use strict";

/* The section of curves: its choices, and a panel for each condition. */

if (content.curves.length > 0) {
  const { metrics, axes } = curveChoices;
  const labels = content.conditions.map(({ label }) => label);
  const isMany = conditionPages.length > 1;
  state.define("metric", metrics[0].name, oneOf(metrics.map(({ name }) => name)));
  state.define("x", axes[0].name, oneOf(axes.map(({ name }) => name)));
  state.define("logy", "yes", oneOf(["yes", "no"]));
  state.define("logx", "no", oneOf(["yes", "no"]));
  state.define("panels", "1", oneOf([...d3.range(1, conditionPages.length + 1), "all"]));
  state.define("hide", "", (text) => text.split("|").every((label) => content.series.some((series) => series.label === label)));

  fill(byId("metric"), metrics.map(({ name, label }) => [name, label]));
  fill(byId("axis"), axes.map(({ name, label }) => [name, label]));
  fill(byId("panels"), [
    ...conditionPages.map((page, number) => [number + 1, `${page[0] + 1} to ${page.at(-1) + 1}: ${labels[page[0]]} …`]),
    ["all", `show all ${labels.length}`],
  ]);
  byId("panels-label").hidden = !isMany;
  tie(byId("metric"), "metric");
  tie(byId("axis"), "x");
  tie(byId("log-y"), "logy");
  tie(byId("log-x"), "logx");
  tie(byId("panels"), "panels");

  /** Completed and planned runs of a line in the panels that are shown. */
  function outcomeOf(series, conditions) {
    const runs = content.runs.filter((run) => run.series === series && conditions.includes(run.condition));
    return [runs.filter(({ status }) => status === "completed").length, runs.length];
  }

  const toggles = content.series.map(({ label }, series) => {
    const box = element("input", { type: "checkbox", input: () => toggle(label, box.checked) });
    const count = element("small");
    byId("lines").append(element("label", {}, box, lineSample(series), element("span", {}, label), count));
    return { label, series, box, count };
  });

  function toggle(label, isShown) {
    const hidden = hiddenLines();
    if (isShown) hidden.delete(label);
    else hidden.add(label);
    state.set({ hide: content.series.map((series) => series.label).filter((name) => hidden.has(name)).join("|") });
  }

  function showToggles() {
    const conditions = shownConditions();
    const hidden = hiddenLines();
    for (const { label, series, box, count } of toggles) {
      const [completed, planned] = outcomeOf(series, conditions);
      box.checked = !hidden.has(label);
      count.textContent = completed < planned ? `${completed} of ${planned}` : "";
    }
  }

  /** What a panel says about lines of which not all planned runs are in it. */
  function shortfall(condition, curves) {
    const short = content.series.flatMap(({ label }, series) => {
      const curve = curves.find((one) => one.series === series);
      const [completed, planned] = curve ? [curve.runs, curve.planned] : outcomeOf(series, [condition]);
      return completed < planned ? [`${label}: ${completed || "none"} of ${planned}`] : [];
    });
    return short.join(" · ");
  }

  function describe(condition, curves, named) {
    const ends = curves.map((curve) => `${content.series[curve.series].label} ends at ${written(curve.median.at(-1))}, ${curve.runs} of ${curve.planned} runs`);
    return `${labels[condition]}: ${named.y} against ${named.x}. ${ends.join("; ") || "No curve"}. Arrow keys read the points.`;
  }

  /** A word where the logarithmic scale leaves something out. */
  function unseen(curves, scales) {
    const lost = d3.sum(curves, (curve) => curve.median.filter((value) => value !== null).length - pointsOf(curve, scales).length);
    return lost ? `${counted(lost, "point")} at or below 0 cannot be shown on a logarithmic scale. ` : "";
  }

  let drawnAcross = null; // pixels that there were for the panels

  function draw() {
    const all = chosenCurves();
    const curves = visibleCurves();
    const scales = sharedScales(curves);
    const named = { x: labelOf(axes, state.get("x")), y: labelOf(metrics, state.get("metric")) };
    const conditions = shownConditions();
    const charts = byId("charts");
    drawnAcross = charts.clientWidth;
    charts.dataset.count = conditions.length;
    charts.classList.toggle("many", conditions.length > 4);
    const panels = conditions.map((condition) => {
      const note = shortfall(condition, all.filter((curve) => curve.condition === condition));
      const plot = element("div", { class: "plot", tabindex: 0, role: "application", "aria-roledescription": "chart" });
      const panel = element("div", { class: "panel" }, element("h3", {}, labels[condition]), plot, element("p", { class: "note" }, note));
      return { condition, plot, panel };
    });
    charts.replaceChildren(...panels.map(({ panel }) => panel));
    const width = isPrinting ? (conditions.length === 1 ? 440 : 330) : Math.floor(panels[0]?.plot.clientWidth || 440);
    for (const { condition, plot } of panels) {
      const inside = curves.filter((curve) => curve.condition === condition);
      const drawing = chartOf(inside, scales, named, width);
      drawing.setAttribute("role", "img");
      drawing.setAttribute("aria-label", describe(condition, inside, named));
      plot.setAttribute("aria-label", describe(condition, inside, named));
      plot.append(drawing);
      makeReadable(plot, drawing, inside, scales, named);
    }
    const better = metrics.find(({ name }) => name === state.get("metric")).better;
    const some = conditions.length < labels.length ? `Showing ${conditions.length === 1 ? labels[conditions[0]] : `${conditions.length} of ${labels.length} conditions`}. ` : "";
    byId("curves-note").textContent = `${better === "neither" ? "" : `${better} is better. `.replace(/^./, (letter) => letter.toUpperCase())}${some}${unseen(curves, scales)}${curves.length ? "" : "No line is chosen, or the chosen ones have no curve here."}`;
  }

  state.listen(["metric", "x", "logx", "logy", "panels", "hide", "condition"], () => {
    showToggles();
    draw();
  });
  new ResizeObserver(([{ contentRect: { width } }]) => {
    if (drawnAcross !== null && width > 0 && Math.abs(width - drawnAcross) > 1) draw();
  }).observe(byId("charts"));
  addEventListener("beforeprint", draw);
  addEventListener("afterprint", draw);
}
