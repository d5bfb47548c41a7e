"use strict";

/* What the page's controls choose from, and how it is written. */

const content = JSON.parse(document.getElementById("content").textContent);

for (const curve of content.curves) {
  curve.x = content.xs[curve.x];
  curve.low ??= curve.x.map(() => null);
  curve.high ??= curve.x.map(() => null);
  if (!Array.isArray(curve.alive)) curve.alive = curve.x.map(() => curve.alive);
}

const byId = (id) => document.getElementById(id);

/** A new element; attributes that are null or false are left out, functions listen. */
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(key, value);
    else if (value !== null && value !== undefined && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

/** Fill a select with [value, label] pairs. */
function fill(select, pairs) {
  select.replaceChildren(...pairs.map(([value, label]) => element("option", { value }, label)));
}

const raised = (exponent) => String(exponent).replace(/./g, (sign) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[sign] ?? "⁻");

/** A number to read, such as 0.01234, 73.02 or 1.5 × 10⁻⁶; text stays as it is. */
function written(value, digits = 4) {
  if (value === null || value === undefined || value === "") return "–";
  if (typeof value !== "number") return String(value);
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e6) return String(value).replace("-", "−");
  if (size >= 1e-3 && size < 1e6) return String(Number(value.toPrecision(digits))).replace("-", "−");
  const [mantissa, exponent] = value.toExponential(digits - 1).split("e");
  const power = `10${raised(Number(exponent))}`;
  return Number(mantissa) === 1 ? power : `${Number(mantissa)} × ${power}`.replace(/^-/, "−");
}

/** A number to stand below others: with its trailing zeros. */
function aligned(value, digits = 4) {
  const isPlain = typeof value === "number" && Math.abs(value) >= 1e-3 && Math.abs(value) < 10 ** digits;
  return isPlain ? value.toPrecision(digits).replace("-", "−") : written(value, digits);
}

/** Whether the page is being printed: everything is drawn then. The first listener, so that later ones know. */
let isPrinting = false;
addEventListener("beforeprint", () => (isPrinting = true));
addEventListener("afterprint", () => (isPrinting = false));

/** "1 run", "24 runs". */
const counted = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
