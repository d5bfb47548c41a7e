"use strict";

/* Any two pictures against each other. */

if (content.pictures.length > 0) {
  const { pictures, top } = content;
  const keyOf = ({ run_id, label }) => run_id || label;
  const keys = pictures.map(keyOf);
  const pictureOf = (choice) => pictures[keys.indexOf(state.get(choice))];

  const first = pictures.find(({ run_id }) => run_id) ?? pictures[0];
  const others = pictures.filter((picture) => picture !== first);
  const second = others.find(({ run_id, condition }) => !run_id && condition === first.condition)
    ?? others.find(({ run_id }) => !run_id) ?? others[0] ?? first;

  state.define("a", keyOf(first), oneOf(keys));
  state.define("b", keyOf(second), oneOf(keys));
  state.define("show", "magnitude", oneOf(["magnitude", "phase"]));
  state.define("compare", "slider", oneOf(["slider", "blink", "beside"]));
  state.define("split", 50, within(0, 100));
  state.define("reach", content.reach, within(1, 100));

  /** Pictures by condition. */
  function fillPictures(select) {
    const groups = d3.group(pictures, ({ condition }) => content.conditions[condition]?.label ?? "");
    select.replaceChildren(...[...groups].flatMap(([label, members]) => {
      const options = members.map((picture) => element("option", { value: keyOf(picture) }, picture.label));
      return label ? [element("optgroup", { label }, ...options)] : options;
    }));
  }
  fillPictures(byId("picture-a"));
  fillPictures(byId("picture-b"));
  tie(byId("picture-a"), "a");
  tie(byId("picture-b"), "b");
  tie(byId("split"), "split");
  tie(byId("reach"), "reach");
  tieRadios("plane", "show");
  tieRadios("mode", "compare");
  byId("swap").addEventListener("click", () => state.set({ a: state.get("b"), b: state.get("a") }));

  const stage = document.querySelector("#pair .stage");
  const range = () => (state.get("show") === "phase" ? Math.PI : top);
  const unit = () => (state.get("show") === "phase" ? " rad" : "");

  function legend(list, colour, beyond, text, hasUnscanned) {
    const swatch = (attributes) => element("span", { ...attributes });
    list.replaceChildren(...[
      beyond ? element("li", {}, swatch({ class: "swatch", style: `background: rgb(${colour})` }), ` ${text}`) : null,
      hasUnscanned ? element("li", {}, swatch({ class: "swatch unscanned" }), " not scanned") : null,
    ].filter(Boolean));
  }

  function ticks(where, values, ends = "") {
    where.replaceChildren(...values.map((value) => element("span", {}, `${written(value, 3)}${ends}`)));
  }

  function describe(canvas, picture) {
    canvas.setAttribute("aria-label", `${state.get("show")} of ${nameOf(picture)}, ${picture.width} by ${picture.height} pixels`);
  }

  const nameOf = ({ label, condition, run_id }) =>
    run_id && content.conditions.length > 1 && content.conditions[condition] && !label.includes(content.conditions[condition].label)
      ? `${label}, ${content.conditions[condition].label}` : label;

  let drawing = 0; // the latest one wins
  let latest = null; // {a, b, values}

  async function draw() {
    const mine = ++drawing;
    const [pictureA, pictureB] = [pictureOf("a"), pictureOf("b")];
    const [a, b] = await Promise.all([decoded(pictureA), decoded(pictureB)]);
    if (mine !== drawing) return;
    const plane = state.get("show");
    const beyond = paintPicture(byId("canvas-a"), a, plane) + paintPicture(byId("canvas-b"), b, plane);
    describe(byId("canvas-a"), pictureA);
    describe(byId("canvas-b"), pictureB);
    stage.querySelector(".tag.a").textContent = `A: ${nameOf(pictureA)}`;
    stage.querySelector(".tag.b").textContent = `B: ${nameOf(pictureB)}`;
    paintScale(byId("scale-pair"), plane);
    ticks(byId("ticks-pair"), plane === "phase" ? ["−π", "0", "π rad"] : [0, top / 2, top]);
    legend(byId("legend-pair"), BEYOND_SCALE, beyond, `more than ${written(top, 3)}: ${counted(beyond, "pixel")}`, a[plane].includes(0) || b[plane].includes(0));
    const isSame = a.width === b.width && a.height === b.height;
    latest = isSame ? { a, b, plane, values: differenceOf(a, b, plane) } : null;
    byId("difference").hidden = !isSame;
    byId("rms").textContent = isSame ? rmsText() : `A has ${a.width} × ${a.height} pixels and B ${b.width} × ${b.height}: there is no difference to take.`;
    drawDifference();
  }

  function rmsText() {
    const { a, b, plane, values } = latest;
    const common = values.filter((value) => !Number.isNaN(value));
    if (common.length === 0) return "No pixel is scanned in both.";
    const rms = Math.sqrt(d3.mean(common, (value) => value * value));
    const clipped = plane === "magnitude" ? d3.sum(values, (value, pixel) => !Number.isNaN(value) && (a.magnitude[pixel] === 255 || b.magnitude[pixel] === 255)) : 0;
    const caution = clipped ? ` ${counted(clipped, "pixel")} beyond the scale counted as ${written(top, 3)}.` : "";
    return `RMS of A − B in ${plane}: ${written(rms)}${unit()} over the ${counted(common.length, "pixel")} scanned in both.${caution}`;
  }

  function drawDifference() {
    const reach = range() * Number(state.get("reach")) / 100;
    byId("reach-told").value = `± ${written(reach, 3)}${unit()}`;
    if (!latest) return;
    const { a, values, plane } = latest;
    const canvas = byId("canvas-difference");
    const beyond = paintDifference(canvas, a, values, reach);
    canvas.setAttribute("aria-label", `A minus B in ${plane}: blue is negative, red is positive`);
    paintScale(byId("scale-difference"), "difference");
    ticks(byId("ticks-difference"), [-reach, 0, reach], unit());
    legend(byId("legend-difference"), BEYOND_REACH, beyond, `beyond ± ${written(reach, 3)}: ${counted(beyond, "pixel")}`, values.some(Number.isNaN));
  }

  state.listen(["a", "b", "show"], draw);
  state.listen(["reach"], drawDifference);
  state.listen(["split"], () => stage.style.setProperty("--split", `${state.get("split")}%`));

  let blinking = null;
  state.listen(["compare"], () => {
    const mode = state.get("compare");
    stage.dataset.mode = mode;
    byId("split-label").hidden = mode !== "slider";
    clearInterval(blinking);
    stage.classList.remove("second");
    if (mode === "blink") blinking = setInterval(() => stage.classList.toggle("second"), 800);
  });

  /* A press that moves drags the divider; one that does not opens the full size. */
  let pressed = null;
  function drag(event) {
    const { left, width } = stage.getBoundingClientRect();
    state.set({ split: Math.round(Math.min(1, Math.max(0, (event.clientX - left) / width)) * 100) });
  }
  stage.addEventListener("pointerdown", (event) => (pressed = { x: event.clientX, moved: false }));
  stage.addEventListener("pointermove", (event) => {
    if (!pressed || state.get("compare") !== "slider") return;
    if (!pressed.moved && Math.abs(event.clientX - pressed.x) > 3) stage.setPointerCapture(event.pointerId);
    pressed.moved ||= Math.abs(event.clientX - pressed.x) > 3;
    if (pressed.moved) drag(event);
  });
  stage.addEventListener("click", () => {
    if (!pressed?.moved) enlarge("pair");
    pressed = null;
  });
  stage.addEventListener("pointercancel", () => (pressed = null));
  addEventListener("pointerup", (event) => {
    if (!stage.contains(event.target)) pressed = null;
  });
  document.querySelector("#difference .stage").addEventListener("click", () => enlarge("difference"));

  const dialog = byId("full-size");
  function enlarge(id) {
    if (dialog.open) return;
    const figure = byId(id);
    const place = element("div", { style: `height: ${figure.offsetHeight}px` });
    figure.replaceWith(place);
    dialog.append(figure);
    dialog.showModal();
    dialog.addEventListener("close", () => place.replaceWith(figure), { once: true });
  }
  for (const button of document.querySelectorAll(".enlarge")) button.addEventListener("click", () => enlarge(button.dataset.of));
  byId("close-full-size").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
}
