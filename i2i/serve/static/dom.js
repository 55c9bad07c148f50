// Small things that all views need.

export const $ = (id) => document.getElementById(id);

/** Show an error for a while; a screen reader says it at once. */
let fading;
export function toast(message) {
  $("toast").textContent = message;
  $("toast").classList.add("shown");
  clearTimeout(fading);
  fading = setTimeout(() => $("toast").classList.remove("shown"), 6000);
}

/** Do what ends in a picture on a stage, which is busy meanwhile, and say what went wrong. */
export async function busy(stage, work) {
  stage.ariaBusy = "true";
  try {
    await work();
  } catch (error) {
    toast(error.message);
  } finally {
    stage.ariaBusy = "false";
  }
}

/** Tell a screen reader what is seen anyway. */
export function say(message) {
  $("status").textContent = message;
}

/** Fill a row of buttons of which one is chosen; arrow keys go along it, as among radio buttons. */
export function segments(box, choices, chosen, onchoose) {
  box.replaceChildren(
    ...choices.map(({ value, label }) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = label;
      button.setAttribute("role", "radio");
      button.setAttribute("aria-checked", String(value === chosen));
      button.tabIndex = value === chosen ? 0 : -1;
      button.addEventListener("click", () => value !== chosen && onchoose(value));
      return button;
    }),
  );
  box.onkeydown = (event) => {
    const way = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!way) return;
    event.preventDefault();
    const at = choices.findIndex(({ value }) => value === chosen);
    const next = (at + way + choices.length) % choices.length;
    onchoose(choices[next].value);
    box.children[next]?.focus();
  };
  box.hidden = choices.length < 2;
}

/** Fill a canvas with a picture, at the picture's own size. */
export function show(canvas, picture) {
  canvas.width = picture.width;
  canvas.height = picture.height;
  canvas.getContext("2d").drawImage(picture, 0, 0);
}

/** Let a stage take the shape of what it shows. */
export function shape(stage, width, height) {
  stage.style.setProperty("--ratio", width / height);
}

export const toBlob = (canvas) => new Promise((done) => canvas.toBlob(done, "image/png"));

/** Say how long something took. */
export const duration = (ms) => (ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`);

/** Hand a file to the user. */
export function download(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

/** Decode an image file, turned upright. */
export async function decode(blob) {
  try {
    return await createImageBitmap(blob);
  } catch {
    throw new Error("this file is no picture that the browser can read");
  }
}
