"use strict";

/* Which curves are shown, and on which scales. */

const PANELS_AT_ONCE = 12;

const curveChoices = {
  metrics: content.metrics.filter(({ name }) => content.curves.some((curve) => curve.metric === name)),
  axes: content.axes.filter(({ name }) => content.curves.some((curve) => curve.axis === name)),
};

const labelOf = (choices, name) => choices.find((choice) => choice.name === name)?.label ?? name;

/** Pages of conditions, each one's place in the list: where there are too many panels to show at once. */
const conditionPages = d3.range(0, content.conditions.length, PANELS_AT_ONCE)
  .map((first) => d3.range(first, Math.min(first + PANELS_AT_ONCE, content.conditions.length)));

/** Places of the conditions that have a panel now: in print all, unless one was chosen. */
function shownConditions() {
  const chosen = content.conditions.findIndex(({ label }) => label === state.get("condition"));
  if (chosen >= 0) return [chosen];
  const page = state.get("panels");
  return isPrinting || page === "all" ? d3.range(content.conditions.length) : conditionPages[Number(page) - 1] ?? [];
}

const hiddenLines = () => new Set(state.get("hide").split("|"));

/** The curves of the chosen metric and axis in the panels that are shown, hidden lines as well. */
function chosenCurves() {
  const places = new Set(shownConditions());
  return content.curves.filter((curve) =>
    curve.metric === state.get("metric") && curve.axis === state.get("x") && places.has(curve.condition));
}

const visibleCurves = () => {
  const hidden = hiddenLines();
  return chosenCurves().filter((curve) => !hidden.has(content.series[curve.series].label));
};

/** From the least to the largest of `values` that the scale can show. */
function extentOf(values, isLog) {
  const [low, high] = d3.extent(values.filter((value) => value !== null && (!isLog || value > 0)));
  if (low === undefined) return isLog ? [0.1, 1] : [0, 1];
  if (low < high) return [low, high];
  return isLog ? [low / 2, high * 2] : [low - Math.abs(low || 1) / 2, high + Math.abs(high || 1) / 2];
}

/** Scales that all panels share. */
function sharedScales(curves) {
  const logX = state.get("logx") === "yes";
  const logY = state.get("logy") === "yes";
  const across = extentOf(curves.flatMap((curve) => curve.x), logX);
  const up = extentOf(curves.flatMap((curve) => [...curve.median, ...curve.low, ...curve.high]), logY);
  return { x: { isLog: logX, domain: across }, y: { isLog: logY, domain: padded(up, logY) } };
}

function padded([low, high], isLog) {
  if (isLog) {
    const margin = (high / low) ** 0.04;
    return [low / margin, high * margin];
  }
  const margin = (high - low) * 0.04;
  return [low >= 0 && low < margin * 4 ? 0 : low - margin, high + margin];
}

/** A tick's label; powers of ten where a logarithmic scale spans many. */
function tickText({ isLog }, tick) {
  const exponent = Math.round(Math.log10(tick));
  const isPower = isLog && Math.abs(exponent) > 3 && Number(`1e${exponent}`) === tick;
  return isPower ? `10${raised(exponent)}` : written(tick, 3);
}

/** Where ticks stand: on a logarithmic scale at 1, 2 and 5 times the powers of ten, or at powers alone. */
function ticksOf({ isLog, domain: [low, high] }, most) {
  if (!isLog) return d3.ticks(low, high, most);
  const first = Math.floor(Math.log10(low)), last = Math.ceil(Math.log10(high));
  const among = (factors, stride = 1) => d3.range(first, last + 1).filter((power) => power % stride === 0)
    .flatMap((power) => factors.map((factor) => Number(`${factor}e${power}`)))
    .filter((tick) => tick >= low && tick <= high);
  for (const factors of [[1, 2, 3, 4, 5, 6, 7, 8, 9], [1, 2, 5], [1, 3], [1]]) {
    const ticks = among(factors);
    if (ticks.length <= most + 1) return ticks.length >= 2 ? ticks : d3.ticks(low, high, most);
  }
  return among([1], Math.ceil((last - first) / most));
}
