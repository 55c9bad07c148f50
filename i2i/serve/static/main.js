// The page: which model, which view of it, and what all views share: dropping, keys, and how programs ask the same.

import * as api from "./api.js";
import { compare } from "./compare.js";
import { $, segments, toast } from "./dom.js";
import { draw } from "./draw.js";
import { noise } from "./noise.js";

const VIEWS = [draw, compare, noise];

let menu, model, way, view, mode, limits;

/** Do what may fail; what went wrong is said. */
async function attempt(work) {
  try {
    await work();
  } catch (error) {
    toast(error.message);
  }
}

function enter(next, wished = mode) {
  mode = wished;
  view = next;
  for (const other of VIEWS) other.element.hidden = other !== view;
  view.enter(model, way);
  const both = model.kind === "translate" && way.ink && !way.wants_mask;
  const modes = [
    { value: "draw", label: "Draw" },
    { value: "picture", label: "Picture" },
  ];
  segments($("modes"), both ? modes : [], view === draw ? "draw" : "picture", (value) =>
    enter(value === "draw" ? draw : compare, value),
  );
  explain();
}

function turn(direction) {
  way = model.ways.find((one) => one.direction === direction);
  const ways = model.ways.map((one) => ({ value: one.direction, label: one.direction.replace("to", " to ") }));
  segments($("directions"), ways, direction, turn);
  enter(way.wants_mask || (way.ink && mode !== "picture") ? draw : compare);
}

function choose(name) {
  model = menu.find((one) => one.name === name) ?? menu[0];
  $("model").value = model.name;
  document.title = `${model.title} · i2i`;
  if (model.kind === "translate") return turn(model.ways[0].direction);
  way = null;
  $("directions").hidden = true;
  enter(noise);
}

/** Show how a program asks for the same. */
function explain() {
  $("about").textContent = (way ?? model).label;
  const at = location.origin;
  const named = `model=${encodeURIComponent(model.name)}`;
  const lines = [`curl ${at}/api/models`];
  if (model.kind === "sample") {
    const labelled = model.classes.length ? `&label=${encodeURIComponent(model.classes[0])}` : "";
    lines.push(
      `curl '${at}/api/sample?${named}&seeds=1,2,3${labelled}' -o images.png`,
      `curl '${at}/api/sample?${named}&interpolate=3,7&steps=10${labelled}' -o strip.png`,
    );
  } else {
    const asked = model.ways.length > 1 ? `${named}&direction=${way.direction}` : named;
    if (way.wants_mask) {
      lines.push(`curl '${at}/api/translate?${asked}' -F image=@photo.jpg -F mask=@mask.png -o out.png`);
    } else {
      lines.push(`curl '${at}/api/translate?${asked}' --data-binary @in.png -o out.png`);
      lines.push(`curl '${at}/api/translate?${asked}&size=${way.size}&format=jpg' --data-binary @in.png -o out.jpg`);
    }
    if (way.derive) {
      lines.push(
        `curl '${at}/api/derive?${asked}' --data-binary @photo.jpg -o ${way.derive}.png`,
        `curl '${at}/api/translate?${asked}&derive=true' --data-binary @photo.jpg -o out.png`,
      );
    }
  }
  lines.push(`curl ${at}/healthz`);
  $("curl").textContent = lines.join("\n");
}

async function take(file) {
  if (!file) return;
  if (file.size > limits.bytes) {
    toast(`the file has ${(file.size / 2 ** 20).toFixed(1)} MB, and the server takes ${limits.bytes / 2 ** 20}`);
    return;
  }
  if (model.kind === "sample") {
    toast("this model makes images of noise; choose another to translate a picture");
    return;
  }
  if (!view.takes(way)) enter(compare, "picture");
  await attempt(() => view.take(file));
}

const acts = {
  photo: () => model.kind === "translate" && $("file").click(),
  surprise: () => attempt(() => view.surprise()),
  save: () => attempt(() => view.save()),
};

for (const button of document.querySelectorAll("[data-act]")) button.onclick = () => acts[button.dataset.act]();
$("file").onchange = () => {
  take($("file").files[0]);
  $("file").value = ""; // so that the same file can be chosen again
};
$("model").onchange = () => choose($("model").value);
$("help").onclick = () => $("keys").showModal();

addEventListener("dragover", (event) => {
  event.preventDefault();
  $("drop").classList.toggle("shown", event.dataTransfer.types.includes("Files"));
});
for (const name of ["dragleave", "drop"]) {
  addEventListener(name, (event) => {
    if (name === "drop") event.preventDefault();
    if (name === "drop" || event.relatedTarget === null) $("drop").classList.remove("shown");
  });
}
addEventListener("drop", (event) => take(event.dataTransfer.files[0]));
addEventListener("paste", (event) => take(event.clipboardData.files[0]));

addEventListener("keydown", (event) => {
  if (event.defaultPrevented || $("keys").open || event.altKey || event.target.matches("select")) return;
  const key = event.key.toLowerCase();
  if (event.ctrlKey || event.metaKey) {
    const name = key === "y" || (key === "z" && event.shiftKey) ? "redo" : key === "z" ? "undo" : null;
    if (!name || !view.keys[name]) return;
    event.preventDefault();
    view.keys[name]();
    return;
  }
  if (event.repeat && key !== "[" && key !== "]") return; // a key that is held asks once
  const others = {
    o: acts.photo,
    s: acts.surprise,
    d: acts.save,
    m: () => choose(menu[(menu.indexOf(model) + 1) % menu.length].name),
    r: () => model.kind === "translate" && model.ways.length > 1 && turn(model.ways.find((one) => one !== way).direction),
    "?": () => $("keys").showModal(),
  };
  (view.keys[key] ?? others[key])?.();
});

await attempt(async () => {
  const told = await api.models();
  [menu, limits] = [told.models, told.limits];
  $("model").replaceChildren(...menu.map(({ name, title }) => new Option(title, name)));
  choose(menu[0].name);
});
