"use strict";

/* One panel: lines with bands and markers, and what is said about the point that is pointed at. */

const MARKERS_A_LINE = 7;

/** Points of a curve that its scales can show. */
function pointsOf(curve, scales) {
  return curve.x.map((x, place) => ({ curve, place, x, y: curve.median[place], low: curve.low[place], high: curve.high[place] }))
    .filter(({ x, y }) => y !== null && (!scales.x.isLog || x > 0) && (!scales.y.isLog || y > 0));
}

/** A few points of a line that carry its marker: spread over the panel, and each line's elsewhere. */
function markedPoints(points, scales, series) {
  if (points.length <= MARKERS_A_LINE) return points;
  const position = scales.x.isLog ? Math.log : Number;
  const [left, right] = scales.x.domain.map(position);
  const shift = (series % 5) / 5 - 0.5;
  const marked = d3.range(MARKERS_A_LINE).map((number) => {
    const goal = left + (right - left) * (number + 0.5 + shift * 0.8) / MARKERS_A_LINE;
    return goal > position(points.at(-1).x) || goal < position(points[0].x) ? null : d3.least(points, ({ x }) => Math.abs(position(x) - goal));
  });
  return [...new Set([...marked.filter(Boolean), points.at(-1)])];
}

/** Where a curve is when half of its runs have met the tolerance. */
function hitPoint(curve, points) {
  if (curve.hit === null || points.length === 0) return [];
  const after = points.find(({ x }) => x >= curve.hit) ?? points.at(-1);
  const before = points[Math.max(0, points.indexOf(after) - 1)];
  const share = after.x > before.x ? Math.min(1, Math.max(0, (curve.hit - before.x) / (after.x - before.x))) : 1;
  return [{ x: curve.hit, y: before.y + share * (after.y - before.y) }];
}

function marksOf(curve, scales) {
  const colour = lineColour(curve.series);
  const points = pointsOf(curve, scales);
  const floor = scales.y.domain[0];
  const banded = points.filter(({ low, high }) => low !== null && high !== null);
  const at = { x: "x", y: "y", clip: true };
  return [
    Plot.areaY(banded, { x: "x", y1: ({ low }) => Math.max(low, floor), y2: "high", fill: colour, fillOpacity: 0.2, clip: true }),
    Plot.line(points, { ...at, stroke: colour, strokeWidth: 2, strokeDasharray: lineDash(curve.series) }),
    Plot.dot(markedPoints(points, scales, curve.series),
      { x: "x", y: "y", symbol: content.series[curve.series].marker, r: 3.6, fill: colour, stroke: colour, strokeWidth: 1.5 }),
    Plot.dot(hitPoint(curve, points), { x: "x", y: "y", r: 7.5, fill: "var(--paper)", fillOpacity: 0.6, stroke: colour, strokeWidth: 2.2 }),
  ];
}

/** The drawing of one panel, `width` pixels wide: its labels keep their size. */
function chartOf(curves, scales, labels, width) {
  const axis = (scale, most) => ({ ticks: ticksOf(scale, most), tickFormat: (tick) => tickText(scale, tick) });
  const across = axis(scales.x, Math.max(3, Math.floor(width / 75)));
  const up = axis(scales.y, 6);
  const widest = d3.max(up.ticks, (tick) => tickText(scales.y, tick).length) ?? 3;
  const drawing = Plot.plot({
    width, height: Math.round(Math.min(340, Math.max(230, width * 0.62))),
    marginLeft: 18 + widest * 7, marginRight: 16, marginTop: 24, marginBottom: 38,
    style: { fontSize: "12px", fontFamily: "inherit", background: "none", color: "inherit", overflow: "visible" },
    x: { type: scales.x.isLog ? "log" : "linear", domain: scales.x.domain },
    y: { type: scales.y.isLog ? "log" : "linear", domain: scales.y.domain },
    marks: [
      Plot.gridX({ ticks: across.ticks, strokeOpacity: 0.12 }),
      Plot.gridY({ ticks: up.ticks, strokeOpacity: 0.12 }),
      Plot.axisX({ ...across, label: labels.x, labelArrow: "right" }),
      Plot.axisY({ ...up, label: labels.y, labelArrow: "up" }),
      ...curves.flatMap((curve) => marksOf(curve, scales)),
    ],
  });
  for (const group of drawing.querySelectorAll("g[aria-label]")) { // the drawing as a whole has its text
    group.dataset.mark = group.getAttribute("aria-label");
    group.removeAttribute("aria-label");
    group.removeAttribute("aria-description");
  }
  return drawing;
}

/** What is said about a point: [name, value] pairs. */
function toldOf({ curve, place }, labels) {
  const { low, high, alive, runs, planned } = curve;
  const pairs = [[labels.x, written(curve.x[place])], [labels.y, written(curve.median[place])]];
  if (low[place] !== null && high[place] !== null) pairs.push(["interval", `${written(low[place])} to ${written(high[place])}`]);
  pairs.push(["still running", `${alive[place]} of ${runs}`], ["completed", `${runs} of ${planned} planned`]);
  return pairs;
}

/** Make a panel answer to pointer and keyboard. */
function makeReadable(plot, drawing, curves, scales, labels) {
  const lines = curves.map((curve) => pointsOf(curve, scales)).filter((points) => points.length > 0);
  if (lines.length === 0) return;
  const [x, y] = [drawing.scale("x").apply, drawing.scale("y").apply];
  const ring = d3.select(drawing).append("circle").attr("r", 5.5).attr("fill", "none").attr("stroke", "currentColor")
    .attr("stroke-width", 1.5).attr("visibility", "hidden");
  const tooltip = element("div", { class: "tooltip", hidden: true });
  plot.append(tooltip);
  let at = null; // [line, place in it]

  function show(line, place) {
    at = [line, place];
    const point = lines[line][place];
    const pairs = toldOf(point, labels);
    const title = content.series[point.curve.series].label;
    const [left, top] = [x(point.x), y(point.y)];
    ring.attr("cx", left).attr("cy", top).attr("visibility", "visible");
    tooltip.replaceChildren(element("strong", {}, title),
      element("dl", {}, ...pairs.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)])));
    tooltip.hidden = false;
    const isRight = left > drawing.clientWidth / 2;
    tooltip.style.left = isRight ? "" : `${left + 12}px`;
    tooltip.style.right = isRight ? `${plot.clientWidth - left + 12}px` : "";
    tooltip.style.top = `${Math.max(0, Math.min(top - 40, plot.clientHeight - tooltip.offsetHeight))}px`;
    return `${title}: ${pairs.map((pair) => pair.join(" ")).join(", ")}`;
  }

  function hide() {
    tooltip.hidden = true;
    ring.attr("visibility", "hidden");
  }

  function nearest(event) {
    const [left, top] = d3.pointer(event, drawing);
    const candidates = lines.flatMap((points, line) => points.map((point, place) =>
      ({ line, place, distance: Math.hypot(x(point.x) - left, y(point.y) - top) })));
    return d3.least(candidates, ({ distance }) => distance);
  }

  plot.addEventListener("pointermove", (event) => {
    const { line, place, distance } = nearest(event);
    if (distance < 60) show(line, place);
    else hide();
  });
  plot.addEventListener("pointerleave", hide);
  plot.addEventListener("blur", hide);
  plot.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0], Home: [0, -Infinity], End: [0, Infinity] }[event.key];
    if (event.key === "Escape") hide();
    if (!step) return;
    event.preventDefault();
    const [line, place] = at ?? [0, lines[0].length];
    const next = (line + step[0] + lines.length) % lines.length;
    byId("chart-told").value = show(next, Math.min(lines[next].length - 1, Math.max(0, place + step[1])));
  });
}
