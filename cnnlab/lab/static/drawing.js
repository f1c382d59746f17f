// The pen: strokes on a canvas, light on dark as in MNIST, kept as strokes so that each can be taken back.
import { made } from "./dom.js";

const SIDE = 280;
const OPEN = 224; // the side of what is painted for a model that takes images of any size
const MOVES = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };

const painted = (context, { points, width, color }) => {
  context.strokeStyle = context.fillStyle = color;
  context.lineWidth = width;
  context.lineCap = context.lineJoin = "round";
  context.beginPath();
  context.moveTo(...points[0]);
  for (const point of points) context.lineTo(...point);
  context.stroke();
};

/**
 * The canvas and its tools, in `place`.
 *
 * `changed(ended)` is called with each movement of the pen, and with `ended` once a stroke is whole.
 */
export const canvasIn = (place, changed) => {
  const canvas = made("canvas", {
    width: SIDE, height: SIDE, tabindex: 0, role: "application", "aria-roledescription": "drawing",
    "aria-label": "Drawing. Arrow keys move the pen, Space puts it down and lifts it, Control and Z takes a stroke back.",
  });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const pen = made("div", { class: "pen-place", hidden: true });
  const width = made("input", { type: "range", id: "pen-width", min: 6, max: 60, value: 22 });
  const color = made("input", { type: "color", id: "pen-color", value: "#ffffff" });
  const eraser = made("button", { type: "button", "aria-pressed": "false", onclick: () => erase(!erasing()) }, "Eraser");
  const undo = made("button", { type: "button", onclick: () => takeBack(), disabled: true }, "Undo");
  const clear = made("button", { type: "button", onclick: () => wipe(), disabled: true }, "Clear");
  const mnist = made("input", { type: "checkbox", id: "as-mnist", checked: true, onchange: () => changed(true) });
  const painting = made("label", { hidden: true }, "Colour ", color);
  const centring = made("label", { class: "switch" }, mnist, " Fit and centre it as MNIST was made (20 by 20, by its mass)");
  place.append(
    made("div", { class: "canvas" }, canvas, pen),
    made("div", { class: "tools", role: "group", "aria-label": "Drawing tools" },
      made("label", {}, "Pen width ", width), painting, eraser, undo, clear),
    centring,
  );

  let strokes = [];
  let current = null;
  let at = [SIDE / 2, SIDE / 2];
  const erasing = () => eraser.getAttribute("aria-pressed") === "true";
  const erase = (on) => eraser.setAttribute("aria-pressed", `${on}`);

  // Strokes that are whole lie on a canvas below, and the current one is painted as a whole each time: a stroke looks
  // the same while it is drawn and after another was taken back.
  const below = new OffscreenCanvas(SIDE, SIDE).getContext("2d", { willReadFrequently: true });
  const repaint = () => {
    context.drawImage(below.canvas, 0, 0);
    if (current) painted(context, current);
    undo.disabled = clear.disabled = !strokes.length;
  };
  const redraw = () => {
    below.fillStyle = "#000000";
    below.fillRect(0, 0, SIDE, SIDE);
    for (const stroke of strokes) if (stroke !== current) painted(below, stroke);
    repaint();
  };
  const begin = (point) => {
    current = { points: [point], width: Number(width.value), color: erasing() ? "#000000" : painting.hidden ? "#ffffff" : color.value };
    strokes.push(current);
    repaint();
    changed(false);
  };
  const extend = (...points) => {
    current.points.push(...points);
    repaint();
    changed(false);
  };
  const end = () => {
    if (!current) return;
    painted(below, current);
    current = null;
    pen.classList.remove("down");
    changed(true);
  };
  const takeBack = () => {
    current = null;
    strokes.pop();
    redraw();
    changed(true);
    if (!strokes.length) canvas.focus();
  };
  const wipe = () => {
    current = null;
    strokes = [];
    redraw();
    changed(true);
    canvas.focus();
  };

  const placeOf = (event) => {
    const area = canvas.getBoundingClientRect();
    return [((event.clientX - area.left) / area.width) * SIDE, ((event.clientY - area.top) / area.height) * SIDE];
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    pen.hidden = true;
    begin(placeOf(event));
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!current || !canvas.hasPointerCapture(event.pointerId)) return;
    const between = event.getCoalescedEvents?.() ?? [];
    extend(...(between.length ? between : [event]).map(placeOf));
  });
  for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, end);

  // By keyboard the pen has a place of its own.
  const showPen = () => {
    pen.hidden = false;
    pen.style.left = `${(100 * at[0]) / SIDE}%`;
    pen.style.top = `${(100 * at[1]) / SIDE}%`;
    pen.classList.toggle("down", current !== null);
  };
  canvas.addEventListener("focus", () => canvas.matches(":focus-visible") && showPen());
  canvas.addEventListener("blur", () => {
    pen.hidden = true;
    end();
  });
  canvas.addEventListener("keydown", (event) => {
    const move = MOVES[event.key];
    if (move) {
      const step = event.shiftKey ? 2 : 10;
      at = at.map((part, axis) => Math.min(Math.max(part + step * move[axis], 0), SIDE));
      if (current) extend(at);
    } else if (event.key === " ") current ? end() : begin(at);
    else if (event.key.toLowerCase() === "z" && (event.ctrlKey || event.metaKey)) takeBack();
    else return;
    event.preventDefault();
    showPen();
  });
  redraw();

  const gray = () => {
    const { data } = context.getImageData(0, 0, SIDE, SIDE);
    const bytes = new Uint8Array(SIDE * SIDE);
    for (let index = 0; index < bytes.length; index += 1) bytes[index] = data[4 * index];
    let text = "";
    for (let start = 0; start < bytes.length; start += 8192) text += String.fromCharCode(...bytes.subarray(start, start + 8192));
    return btoa(text);
  };
  const scaled = (height, across) => {
    const small = new OffscreenCanvas(across, height).getContext("2d");
    small.imageSmoothingQuality = "high";
    small.drawImage(canvas, 0, 0, across, height);
    const { data } = small.getImageData(0, 0, across, height);
    const pixels = [];
    for (let index = 0; index < data.length; index += 4) for (let channel = 0; channel < 3; channel += 1) pixels.push(data[index + channel] / 255);
    return pixels;
  };

  return {
    isEmpty: () => strokes.length === 0,
    /** Strokes for a model in grey, painted pixels for one in colour. */
    for: ({ id, shape: [high, wide, channels] }) => {
      if (channels !== 3) return { model: id, strokes: gray(), mnist: mnist.checked };
      const [height, width] = [high ?? OPEN, wide ?? OPEN];
      return { model: id, pixels: scaled(height, width), height, width, channels };
    },
    /** Offer what suits a model: colours, or the way MNIST was made. */
    suit: ({ shape }) => {
      painting.hidden = shape[2] !== 3;
      centring.hidden = shape[2] === 3;
    },
  };
};
