"use strict";

/* Pictures: their codes, colours for them, and the difference between two. */

const BEYOND_SCALE = [255, 0, 190]; // on grey it is told from white and black
const BEYOND_REACH = [255, 226, 0]; // told from the dark ends of the diverging map

/** Magnitude and phase codes of a picture; decoded once. */
const decoded = (() => {
  const kept = new Map();
  async function decode({ source, width, height }) {
    const image = new Image();
    image.src = source;
    await image.decode();
    const canvas = new OffscreenCanvas(2 * width, height);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(image, 0, 0);
    const { data } = context.getImageData(0, 0, 2 * width, height);
    const plane = (shift) => Uint8Array.from({ length: width * height },
      (_, pixel) => data[4 * (Math.floor(pixel / width) * 2 * width + shift + (pixel % width))]);
    return { width, height, magnitude: plane(0), phase: plane(width) };
  }
  return (picture) => {
    if (!kept.has(picture)) kept.set(picture, decode(picture));
    return kept.get(picture);
  };
})();

/** What code 1 to 255 of a plane stands for. */
const valueOf = {
  magnitude: (code) => (Math.min(code, 254) - 1) / 253 * content.top,
  phase: (code) => (code - 1) / 254 * 2 * Math.PI - Math.PI,
};

const bytes = (text) => {
  const { r, g, b } = d3.rgb(text);
  return [r, g, b];
};

/** Light at ±π, dark at 0, blue on one side and red on the other: as matplotlib's twilight. */
const twilight = d3.interpolateRgbBasisClosed(["#e2d9e2", "#9ebbc9", "#6785be", "#5e43a5", "#2f1436", "#8b2c52", "#b2675a", "#ceac94"].map(String));
const diverging = (share) => d3.interpolateRdBu(1 - share);

const ramps = {
  magnitude: d3.range(256).map((code) => [code, code, code]),
  phase: d3.range(256).map((code) => bytes(twilight(code / 255))),
  difference: d3.range(256).map((code) => bytes(diverging(code / 255))),
};

const rampOf = { magnitude: d3.range(256).map((code) => ramps.magnitude[Math.round(Math.max(0, Math.min(code, 254) - 1) / 253 * 255)]),
  phase: d3.range(256).map((code) => ramps.phase[Math.round(Math.max(0, code - 1) / 254 * 255)]) };

/** What has not been scanned: hatched grey. */
const hatched = (x, y) => ((x + y) % 6 < 3 ? [138, 146, 155] : [180, 186, 193]);

function paint(canvas, width, height, colourOf) {
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  for (let pixel = 0; pixel < width * height; pixel++) {
    image.data.set(colourOf(pixel) ?? hatched(pixel % width, Math.floor(pixel / width)), 4 * pixel);
    image.data[4 * pixel + 3] = 255;
  }
  context.putImageData(image, 0, 0);
}

/** Draw one plane; the number of pixels beyond the scale is returned. */
function paintPicture(canvas, { width, height, ...planes }, plane) {
  const codes = planes[plane];
  const isBeyond = (code) => plane === "magnitude" && code === 255;
  paint(canvas, width, height, (pixel) => (codes[pixel] === 0 ? null : isBeyond(codes[pixel]) ? BEYOND_SCALE : rampOf[plane][codes[pixel]]));
  return codes.filter(isBeyond).length;
}

/** A minus B where both are scanned, NaN elsewhere; of phases the shorter way round. */
function differenceOf(a, b, plane) {
  const value = d3.range(256).map(valueOf[plane]);
  return Float64Array.from(a[plane], (code, pixel) => {
    const other = b[plane][pixel];
    if (code === 0 || other === 0) return NaN;
    const difference = value[code] - value[other];
    return plane === "phase" ? difference - 2 * Math.PI * Math.round(difference / (2 * Math.PI)) : difference;
  });
}

/** Draw a difference up to `reach` either way; the number of pixels beyond it is returned. */
function paintDifference(canvas, { width, height }, values, reach) {
  let beyond = 0;
  paint(canvas, width, height, (pixel) => {
    const value = values[pixel];
    if (Number.isNaN(value)) return null;
    if (Math.abs(value) > reach * (1 + 1e-9)) {
      beyond += 1;
      return BEYOND_REACH;
    }
    return ramps.difference[Math.round((value / reach + 1) * 127.5)];
  });
  return beyond;
}

/** A colour bar. */
function paintScale(canvas, ramp) {
  paint(canvas, 256, 1, (pixel) => ramps[ramp][pixel]);
}
