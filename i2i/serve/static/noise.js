// Images of noise: a gallery of seeds, and the way from one to the next.

import * as api from "./api.js";
import { $, busy, decode, download, segments, shape, toBlob, toast } from "./dom.js";

const COUNT = 16;
const STEPS = 24;
const MILLISECONDS = 1100; // of the way to an image that was clicked

let model, label, first, from, to, strip, along, moving;

/** Ask for the strip of images on the way; the slider then needs the server no more. */
const latest = new api.Latest(async () => {
  const [asked, seeds] = [model, `${from},${to}`];
  const way = along ? { traverse: along, seeds: to } : { interpolate: seeds, steps: STEPS };
  await busy($("frame-stage"), async () => {
    const image = await decode(await api.sample({ model: model.name, label, ...way }));
    if (asked !== model) return;
    strip = image;
    $("from").textContent = along || `seed ${from}`;
    $("to").textContent = along ? "" : `seed ${to}`;
    travel();
  });
});

/** Show where the slider stands: two neighbours of the strip, one fading into the other. */
function paint() {
  if (!strip) return;
  const canvas = $("frame");
  const side = strip.height;
  const count = strip.width / side;
  const place = Number($("travel").value) * (count - 1);
  const left = Math.floor(place);
  canvas.width = canvas.height = side;
  const context = canvas.getContext("2d");
  context.drawImage(strip, left * side, 0, side, side, 0, 0, side, side);
  if (left + 1 < count) {
    context.globalAlpha = place - left;
    context.drawImage(strip, (left + 1) * side, 0, side, side, 0, 0, side, side);
  }
}

/** Go the way once, from its beginning to its end. */
function travel() {
  cancelAnimationFrame(moving);
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  if (calm || from === to) {
    $("travel").value = along ? 0.5 : 1;
    return paint();
  }
  const began = performance.now();
  const move = (now) => {
    const share = Math.min(1, (now - began) / MILLISECONDS);
    $("travel").value = share * share * (3 - 2 * share);
    paint();
    if (share < 1) moving = requestAnimationFrame(move);
  };
  moving = requestAnimationFrame(move);
}

/** Fill the gallery with one strip, cut into its images. */
const gallery = new api.Latest(async () => {
  const [asked, begun] = [model, first];
  const seeds = Array.from({ length: COUNT }, (_, number) => begun + number);
  try {
    const image = await decode(await api.sample({ model: model.name, label, seeds: seeds.join(",") }));
    if (asked !== model || begun !== first) return;
    const side = image.height;
    $("gallery").replaceChildren(
      ...seeds.map((seed, number) => {
        const button = Object.assign(document.createElement("button"), { type: "button", title: `seed ${seed}` });
        button.setAttribute("aria-label", `seed ${seed}`);
        const canvas = Object.assign(document.createElement("canvas"), { width: side, height: side });
        canvas.getContext("2d").drawImage(image, number * side, 0, side, side, 0, 0, side, side);
        button.append(canvas);
        button.onclick = () => go(seed);
        return button;
      }),
    );
    mark();
  } catch (error) {
    toast(error.message);
  }
});

function mark() {
  for (const [number, button] of [...$("gallery").children].entries()) {
    button.setAttribute("aria-current", String(first + number === to));
  }
}

function go(seed) {
  [from, to] = [to, seed];
  mark();
  latest.ask();
}

/** Show other seeds, and go to the first of them. */
function turn(seed) {
  first = seed;
  gallery.ask();
  go(first);
}

function choose(value) {
  label = value;
  const classes = model.classes.map((name) => ({ value: name, label: name }));
  segments($("classes"), classes, label, choose);
  gallery.ask();
  latest.ask();
}

$("travel").oninput = () => {
  cancelAnimationFrame(moving);
  paint();
};
$("along").onchange = () => {
  along = $("along").value;
  latest.ask();
};

export const noise = {
  element: $("noise"),

  enter(chosen) {
    [model, strip, first, from, to, along] = [chosen, null, 0, 0, 0, ""];
    shape($("frame-stage"), 1, 1);
    $("along").replaceChildren(
      new Option("the way between seeds", ""),
      ...model.codes.map((code) => new Option(`code ${code}`, code)),
    );
    $("along-pick").hidden = !model.codes.length;
    choose(model.classes[0] ?? null);
  },

  takes: () => false,

  surprise() {
    turn(Math.floor(Math.random() * 1e6));
  },

  async save() {
    download(await toBlob($("frame")), `${model.title}-${to}.png`);
  },

  keys: {},
};
