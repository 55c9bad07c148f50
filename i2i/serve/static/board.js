// What is drawn on: strokes and pictures on a transparent layer, with undo, for mouse, pen, finger and keyboard.

const STEP = 4; // pixels of the model by which an arrow key moves the pen
const SOLID = 115; // opacity from which a pixel counts as drawn: the models know lines without soft borders

/**
 * A layer of ink in the model's own pixels, shown at the screen's.
 *
 * What is done is kept as a list (strokes, pictures, clearings) and painted anew from it on undo and when the size of
 * the screen changes; `at` says how much of the list counts.
 */
export class Board extends EventTarget {
  eraser = false;
  pen = 2;
  #canvas;
  #cursor;
  #done = [];
  #at = 0;
  #stroke = null;
  #pointer = null;
  #key = { x: 0, y: 0 };

  constructor(canvas, cursor) {
    super();
    this.#canvas = canvas;
    this.#cursor = cursor;
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, (event) => this.#up(event));
    canvas.addEventListener("keydown", (event) => this.#press(event));
    canvas.addEventListener("focus", () => this.#showCursor());
    canvas.addEventListener("blur", () => this.#leave());
    new ResizeObserver(() => this.#fit()).observe(canvas);
  }

  /** Begin anew. `ink` is "black" on white or "white" on black; `colour` is how it is shown here. */
  reset(width, height, ink, colour = ink) {
    Object.assign(this, { width, height, ink, colour });
    this.#done = [];
    this.#at = 0;
    this.#lift();
    this.#key = { x: width / 2, y: height / 2 };
    this.#fit();
  }

  get canUndo() {
    return this.#at > 0;
  }

  get canRedo() {
    return this.#at < this.#done.length;
  }

  get empty() {
    return this.#visible().length === 0;
  }

  undo() {
    if (!this.canUndo || this.#stroke) return;
    this.#at -= 1;
    this.#repaint();
  }

  redo() {
    if (!this.canRedo || this.#stroke) return;
    this.#at += 1;
    this.#repaint();
  }

  clear() {
    if (!this.empty) this.#add({ kind: "clear" });
  }

  /** Lay a drawing over the sheet, such as the edges of a photo, in place of what is there. */
  place(picture) {
    this.#add({ kind: "picture", ink: inked(picture, this.width, this.height, this.ink) });
  }

  /** The drawing as the model takes it: its own pixels, ink and paper and nothing between. */
  drawing() {
    const canvas = surface(this.width, this.height);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    this.#paint(context, 1);
    const image = context.getImageData(0, 0, this.width, this.height);
    const [ink, paper] = this.ink === "black" ? [0, 255] : [255, 0];
    for (let i = 0; i < image.data.length; i += 4) {
      image.data.fill(image.data[i + 3] >= SOLID ? ink : paper, i, i + 3);
      image.data[i + 3] = 255;
    }
    context.putImageData(image, 0, 0);
    return canvas;
  }

  #add(entry) {
    this.#lift();
    this.#done.length = this.#at; // what was undone is gone
    this.#done.push(entry);
    this.#at += 1;
    this.#repaint();
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }

  #repaint() {
    const context = this.#canvas.getContext("2d");
    context.clearRect(0, 0, this.#canvas.width, this.#canvas.height);
    this.#paint(context, this.#canvas.width / this.width);
    this.#changed();
  }

  /** What counts: all since the last clearing, or since the last picture, which covers what was before. */
  #visible() {
    const counted = this.#done.slice(0, this.#at);
    const cleared = counted.findLastIndex(({ kind }) => kind === "clear");
    const placed = counted.findLastIndex(({ kind }) => kind === "picture");
    return counted.slice(Math.max(cleared + 1, placed));
  }

  #paint(context, scale) {
    context.save();
    context.scale(scale, scale);
    for (const entry of this.#visible()) {
      if (entry.kind === "picture") context.drawImage(entry.ink, 0, 0);
      else for (let i = 0; i < entry.points.length; i += 1) segment(context, entry, i, this.colour);
    }
    context.restore();
  }

  #fit() {
    if (!this.width) return;
    const box = this.#canvas.getBoundingClientRect();
    if (!box.width) return;
    this.#canvas.width = Math.round(box.width * devicePixelRatio);
    this.#canvas.height = Math.round((this.#canvas.width * this.height) / this.width);
    this.#repaint();
    this.#showCursor();
  }

  #begin(x, y, pressure) {
    this.#stroke = { kind: "stroke", erase: this.eraser, points: [] };
    this.#done.length = this.#at;
    this.#done.push(this.#stroke);
    this.#at += 1;
    this.#extend(x, y, pressure);
  }

  #extend(x, y, pressure) {
    const stroke = this.#stroke;
    stroke.points.push({ x, y, width: this.pen * pressure });
    const context = this.#canvas.getContext("2d");
    const scale = this.#canvas.width / this.width;
    context.save();
    context.scale(scale, scale);
    segment(context, stroke, stroke.points.length - 1, this.colour);
    context.restore();
    this.#changed();
  }

  #end() {
    this.#lift();
    this.#changed();
  }

  /** Take the pen off, whatever holds it. */
  #lift() {
    this.#stroke = this.#pointer = null;
    this.#cursor.classList.remove("down");
  }

  #where(event) {
    const box = this.#canvas.getBoundingClientRect();
    return [
      ((event.clientX - box.left) / box.width) * this.width,
      ((event.clientY - box.top) / box.height) * this.height,
      // Where no pressure is felt, browsers say 0.5 (mouse) or anything (finger).
      event.pointerType === "pen" && event.pressure ? 0.4 + 1.2 * event.pressure : 1,
    ];
  }

  #down(event) {
    if (event.button !== 0 && event.button !== 5) return; // 5 is a stylus's eraser
    if (this.#pointer !== null) return; // a second finger draws nothing
    this.#leave();
    this.#canvas.setPointerCapture(event.pointerId);
    this.#pointer = event.pointerId;
    const before = this.eraser;
    this.eraser ||= event.button === 5;
    this.#begin(...this.#where(event));
    this.eraser = before;
  }

  #move(event) {
    if (event.pointerId !== this.#pointer) return;
    // A fast pen moves several times between two frames; all of it makes the line smooth.
    const moves = event.getCoalescedEvents?.() ?? [];
    for (const move of moves.length ? moves : [event]) this.#extend(...this.#where(move));
  }

  #up(event) {
    if (event.pointerId !== this.#pointer) return;
    this.#end();
  }

  #press(event) {
    const step = event.shiftKey ? 1 : STEP;
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
    if (event.key in moves) {
      const [dx, dy] = moves[event.key];
      this.#key.x = Math.min(Math.max(this.#key.x + dx, 0), this.width);
      this.#key.y = Math.min(Math.max(this.#key.y + dy, 0), this.height);
      if (this.#stroke) this.#extend(this.#key.x, this.#key.y, 1);
    } else if (event.key === " ") {
      if (this.#stroke) this.#end();
      else this.#begin(this.#key.x, this.#key.y, 1);
      this.dispatchEvent(new CustomEvent("pen", { detail: this.#stroke !== null }));
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
    this.#showCursor();
  }

  #showCursor() {
    // Only who came by keyboard needs to see where it draws.
    this.#cursor.hidden = !this.#canvas.matches(":focus-visible") || this.#pointer !== null;
    this.#cursor.style.left = `${(100 * this.#key.x) / this.width}%`;
    this.#cursor.style.top = `${(100 * this.#key.y) / this.height}%`;
    this.#cursor.classList.toggle("down", this.#stroke !== null);
  }

  #leave() {
    if (this.#stroke && this.#pointer === null) this.#end();
    this.#cursor.hidden = true;
  }
}

function surface(width, height) {
  return Object.assign(document.createElement("canvas"), { width, height });
}

/** Paint the piece of a stroke that point number `i` adds: a curve between the middles of its lines. */
function segment(context, { points, erase }, i, colour) {
  context.globalCompositeOperation = erase ? "destination-out" : "source-over";
  context.strokeStyle = context.fillStyle = colour;
  context.lineCap = context.lineJoin = "round";
  const point = points[i];
  if (i === 0) {
    context.beginPath();
    context.arc(point.x, point.y, point.width / 2, 0, 2 * Math.PI);
    context.fill();
    return;
  }
  const before = points[i - 1];
  const start = i > 1 ? middle(points[i - 2], before) : before;
  const end = middle(before, point);
  context.lineWidth = (before.width + point.width) / 2;
  context.beginPath();
  context.moveTo(start.x, start.y);
  context.quadraticCurveTo(before.x, before.y, end.x, end.y);
  context.lineTo(point.x, point.y);
  context.stroke();
}

const middle = (a, b) => ({ x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 });

/** Turn a drawing on paper into ink on nothing, so that the eraser works on it like on strokes. */
function inked(picture, width, height, ink) {
  const canvas = surface(width, height);
  const context = canvas.getContext("2d");
  context.drawImage(picture, 0, 0, width, height);
  const image = context.getImageData(0, 0, width, height);
  const value = ink === "black" ? 0 : 255;
  for (let i = 0; i < image.data.length; i += 4) {
    image.data[i + 3] = Math.abs(255 - value - image.data[i]); // as much as it differs from the paper
    image.data.fill(value, i, i + 3);
  }
  context.putImageData(image, 0, 0);
  return canvas;
}
