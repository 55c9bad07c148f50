// A picture before and after, with a slider between the two.

import * as api from "./api.js";
import { $, busy, decode, download, duration, shape, show } from "./dom.js";

const SIZES = [128, 256, 512, 768, 1024];

let model, way, given, result;
let turns = 0; // counts what was chosen or given, so that what comes late of what was before can be told
let wished; // whether the pictures that one gives are photos of which inputs are made first

/** The sizes to choose from: that of training, larger ones, and the picture's own. */
function offerSizes() {
  const sizes = [way.size, ...SIZES.filter((size) => size > way.size)];
  const options = sizes.map((size) => new Option(size === way.size ? `${size}, as trained` : size, size));
  const whole = new Option("its own size", "");
  $("size").replaceChildren(...(way.any_size ? [whole, ...options] : [...options, whole]));
  $("size").parentElement.hidden = way.magnification > 1; // there, sizes are the point
}

async function shortSide(blob) {
  const { width, height } = await decode(blob);
  return Math.min(width, height);
}

const latest = new api.Latest(async () => {
  const [asked, ways, image] = [model, way, given];
  if (!image) return;
  const parameters = { model: model.name, direction: way.direction };
  const derived = $("derive").checked && way.derive;
  let size = way.magnification > 1 ? null : $("size").value || null;
  await busy($("both"), async () => {
    if (derived && $("size").value === "") size = await shortSide(image); // else it would be that of training
    // The input that is shown is the one that is translated: made of a photo first, where that is wished.
    const input = derived ? await api.derive(image, { ...parameters, size }) : image;
    const before = await decode(input);
    const began = performance.now();
    const output = await api.translate(input, { ...parameters, size: input === image ? size : null });
    const after = await decode(output);
    if (asked !== model || ways !== way || image !== given) return;
    result = output;
    shape($("both"), after.width, after.height);
    show($("before"), before);
    show($("after"), after);
    const sizes = [before, after].map(({ width, height }) => `${width} × ${height}`);
    $("compare-time").textContent = `${[...new Set(sizes)].join(" to ")}, ${duration(performance.now() - began)}`;
    settle();
  });
});

function forget() {
  given = result = null;
  for (const id of ["before", "after"]) $(id).width = $(id).height = 0;
  shape($("both"), 4, 3);
  $("compare-time").textContent = "";
  settle();
}

function settle() {
  $("both").classList.toggle("filled", Boolean(result));
  $("wipe").hidden = !result;
  $("compare-hint").hidden = Boolean(result);
  $("compare").querySelector("[data-act=save]").disabled = !result;
}

function wipe() {
  $("both").style.setProperty("--wipe", `${$("wipe").value}%`);
}

$("wipe").oninput = wipe;
$("size").onchange = () => latest.ask();
$("derive").onchange = () => {
  wished = $("derive").checked;
  latest.ask();
};

export const compare = {
  element: $("compare"),

  enter(chosen, direction) {
    const kept = chosen === model ? given : null; // the same picture, the other way
    turns += 1;
    [model, way] = [chosen, direction];
    forget();
    offerSizes();
    $("compare-hint").textContent = "drop a picture here, paste one, or choose it below";
    $("derive-first").hidden = !way.derive;
    $("derive-first").querySelector("span").textContent = `make it “${way.derive}” first`;
    wished = Boolean(way.derive && way.ink); // photos are what one has, and drawings what it takes
    $("derive").checked = wished;
    $("compare").querySelector("[data-act=surprise]").hidden = !way.examples;
    wipe();
    if (kept) this.take(kept);
  },

  takes: () => true,

  async take(blob) {
    turns += 1;
    given = blob;
    $("derive").checked = wished;
    await latest.ask();
  },

  async surprise() {
    if (!way.examples) return;
    const turn = (turns += 1);
    const index = Math.floor(Math.random() * way.examples);
    const found = await api.example({ model: model.name, direction: way.direction, index });
    if (turn !== turns) return;
    given = found;
    $("derive").checked = false; // it is made worse already
    await latest.ask();
  },

  save() {
    if (result) download(result, `${model.title}.png`);
  },

  keys: {},
};
