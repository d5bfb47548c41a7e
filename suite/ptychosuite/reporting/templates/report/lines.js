"use strict";

/* How a line looks: the same colour, dash and marker wherever it appears. */

const lineColour = (series) => `var(--line-${series})`;
const lineDash = (series) => content.series[series].dash.replace("none", "");

const markerShapes = {
  circle: d3.symbolCircle, square: d3.symbolSquare, triangle: d3.symbolTriangle, diamond: d3.symbolDiamond,
  star: d3.symbolStar, cross: d3.symbolCross, wye: d3.symbolWye,
  times: d3.symbolTimes, plus: d3.symbolPlus, asterisk: d3.symbolAsterisk,
};

/** A piece of the line, to stand before its label. */
function lineSample(series) {
  const colour = lineColour(series);
  const drawing = d3.create("svg").attr("width", 38).attr("height", 12).attr("aria-hidden", "true");
  drawing.append("line").attr("x1", 1).attr("x2", 37).attr("y1", 6).attr("y2", 6)
    .attr("stroke", colour).attr("stroke-width", 2).attr("stroke-dasharray", lineDash(series) || null);
  drawing.append("path").attr("transform", "translate(19,6)").attr("d", d3.symbol(markerShapes[content.series[series].marker], 40)())
    .attr("fill", colour).attr("stroke", colour).attr("stroke-width", 1.5);
  return drawing.node();
}
