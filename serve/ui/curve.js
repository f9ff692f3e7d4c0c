/** The sentiment of a conversation as a small plot: each message a dot, the robust curve a line. */

import { draw, make } from "./dom.js";

const WIDTH = 340, HEIGHT = 130;
const LEFT = 30, RIGHT = 8, TOP = 10, BOTTOM = 26;

/**
 * A figure of two messages or more; none of fewer.
 * @param points `{sentiment, curve}` of each message that was read, both in [-1, 1].
 */
export function sentimentFigure(points) {
  if (points.length < 2) return null;
  const n = points.length;
  const x = (place) => LEFT + (place * (WIDTH - LEFT - RIGHT)) / (n - 1);
  const y = (value) => TOP + ((1 - value) * (HEIGHT - TOP - BOTTOM)) / 2;
  const line = points.map((point, place) => `${x(place)},${y(point.curve)}`).join(" ");
  const told = points.map((point) => point.curve.toFixed(2)).join(", ");
  const plot = draw(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `Sentiment curve after each message, -1 to 1: ${told}` },
    ...[1, 0, -1].flatMap((value) => [
      draw("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: y(value), y2: y(value) }),
      draw("text", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, value > 0 ? "+1" : String(value)),
    ]),
    draw("text", { x: LEFT, y: HEIGHT - 12 }, "message 1"),
    draw("text", { x: WIDTH - RIGHT, y: HEIGHT - 12, "text-anchor": "end" }, String(n)),
    draw("polyline", { class: "line", points: line }),
    ...points.map((point, place) => draw("circle", { class: "dot", cx: x(place), cy: y(point.sentiment), r: 3.5 })),
  );
  return make(
    "figure",
    { class: "curve" },
    plot,
    make("figcaption", {}, `Sentiment, −1 to +1: each message a dot, the curve a line; n = ${n} messages`),
  );
}
