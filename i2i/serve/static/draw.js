// Drawing, or painting a mask over a photo, with the result beside it.

import * as api from "./api.js";
import { Board } from "./board.js";
import { $, busy, decode, download, duration, say, shape, show, toBlob } from "./dom.js";

const MASK = "#d2542f"; // how a mask is shown over its photo
const ENOUGH = 4; // times the size of the model, beyond which a photo shows it nothing more

const board = new Board($("ink"), $("cursor"));
let model, way, photo, result;
let turns = 0; // counts what was chosen or given, so that what comes late of what was before can be told

/** The photo under a mask: at the size at which the model works, its sides in whole pixels. */
async function fitted(blob, size) {
  const picture = await decode(blob);
  const scale = size / Math.min(picture.width, picture.height);
  const canvas = Object.assign(document.createElement("canvas"), {
    width: Math.round(picture.width * scale),
    height: Math.round(picture.height * scale),
  });
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, 0, 0, canvas.width, canvas.height);
  return canvas;
}

/** The middle square of a photo, no larger than is of use: the server makes it smaller, as in training. */
async function square(blob, most) {
  const picture = await decode(blob);
  const whole = Math.min(picture.width, picture.height);
  const side = Math.min(whole, most);
  const canvas = Object.assign(document.createElement("canvas"), { width: side, height: side });
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  const [left, top] = [(picture.width - whole) / 2, (picture.height - whole) / 2];
  context.drawImage(picture, left, top, whole, whole, 0, 0, side, side);
  return toBlob(canvas);
}

const latest = new api.Latest(async () => {
  const [asked, ways] = [model, way];
  if (board.empty) return forget();
  const parameters = { model: model.name, direction: way.direction };
  await busy($("result-stage"), async () => {
    const drawing = await toBlob(board.drawing());
    const began = performance.now();
    const image = photo
      ? await api.translate(await toBlob(photo), parameters, drawing)
      : await api.translate(drawing, parameters);
    const picture = await decode(image);
    if (asked !== model || ways !== way || board.empty) return; // it is another model's by now
    result = image;
    show($("result"), picture);
    $("draw-time").textContent = duration(performance.now() - began);
    settle();
  });
});

function forget() {
  result = null;
  $("result").width = $("result").height = 0;
  $("draw-time").textContent = "";
  settle();
}

/** Let buttons and hints say what is possible now. */
function settle() {
  const ready = Boolean(board.width);
  $("undo").disabled = !ready || !board.canUndo;
  $("redo").disabled = !ready || !board.canRedo;
  $("clear").disabled = !ready || board.empty;
  $("draw").querySelector("[data-act=save]").disabled = !result;
  $("draw-hint").hidden = way?.wants_mask ? Boolean(photo) : !board.empty;
  $("result-hint").hidden = Boolean(result);
}

function hold(eraser) {
  board.eraser = eraser;
  $("pen").ariaPressed = String(!eraser);
  $("eraser").ariaPressed = String(eraser);
}

function widen(by) {
  $("width").stepUp(by);
  board.pen = Number($("width").value);
}

/** Begin a sheet: empty, or with a photo that is to be painted on. */
function begin(width, height) {
  const ink = way.wants_mask ? "white" : way.ink;
  const sheet = $("sheet");
  sheet.dataset.paper = way.wants_mask ? "photo" : ink === "black" ? "white" : "black";
  for (const stage of [sheet, $("result-stage")]) shape(stage, width, height);
  const [least, most, usual] = way.wants_mask
    ? [1, Math.round(way.size / 4), Math.round(way.size / 16)]
    : [1, 10, 1];
  Object.assign($("width"), { min: least, max: most, step: way.wants_mask ? 1 : 0.5 });
  $("width").value = usual;
  board.pen = usual;
  hold(false);
  board.reset(width, height, ink, way.wants_mask ? MASK : ink);
}

board.addEventListener("change", () => {
  settle();
  latest.ask();
});
board.addEventListener("pen", ({ detail }) => say(detail ? "pen down" : "pen up"));
$("pen").onclick = () => hold(false);
$("eraser").onclick = () => hold(true);
$("width").oninput = () => (board.pen = Number($("width").value));
$("undo").onclick = () => board.undo();
$("redo").onclick = () => board.redo();
$("clear").onclick = () => board.clear();

export const draw = {
  element: $("draw"),

  enter(chosen, direction) {
    turns += 1;
    [model, way, photo] = [chosen, direction, null];
    forget();
    show($("backdrop"), new OffscreenCanvas(1, 1));
    $("draw-hint").textContent = way.wants_mask
      ? "drop a photo here, then paint over what is to change"
      : way.derive
        ? "draw here, or drop a photo to draw its edges"
        : "draw here";
    begin(way.size, way.size);
    const photos = Boolean(way.wants_mask || way.derive);
    $("draw").querySelector("[data-act=photo]").hidden = !photos;
    $("draw").querySelector("[data-act=surprise]").hidden = !way.examples;
    settle();
  },

  /** Whether a dropped picture can be used here. */
  takes: (direction) => Boolean(direction.wants_mask || direction.derive),

  async take(blob) {
    const turn = (turns += 1);
    if (way.wants_mask) {
      const picture = await fitted(blob, way.size);
      if (turn !== turns) return;
      photo = picture;
      show($("backdrop"), photo);
      forget();
      begin(photo.width, photo.height);
    } else {
      const parameters = { model: model.name, direction: way.direction, size: way.size };
      const drawing = await decode(await api.derive(await square(blob, ENOUGH * way.size), parameters));
      if (turn === turns) board.place(drawing);
    }
  },

  async surprise() {
    if (!way.examples) return;
    const turn = (turns += 1);
    const index = Math.floor(Math.random() * way.examples);
    const found = await api.example({ model: model.name, direction: way.direction, index });
    const drawing = await decode(found);
    if (turn !== turns) return;
    if (way.wants_mask) await this.take(found);
    else board.place(drawing);
  },

  save() {
    if (result) download(result, `${model.title}.png`);
  },

  keys: {
    b: () => hold(false),
    e: () => hold(true),
    "[": () => widen(-1),
    "]": () => widen(1),
    x: () => board.clear(),
    undo: () => board.undo(),
    redo: () => board.redo(),
  },
};
