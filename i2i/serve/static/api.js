// The server's interface, as anybody could use it.

/** Ask the server; what it refuses becomes an Error with its own words. */
async function ask(path, parameters = {}, options = {}) {
  const url = new URL(path, document.baseURI);
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== null && value !== undefined) url.searchParams.set(name, value);
  }
  let response;
  try {
    response = await fetch(url, options);
  } catch {
    throw new Error("the server does not answer; is it still running?");
  }
  if (response.ok) return response;
  const told = await response.json().catch(() => ({}));
  throw new Error(told.error ?? `the server answered ${response.status}`);
}

export const models = async () => (await ask("api/models")).json();

export const example = async (parameters) => (await ask("api/example", parameters)).blob();

export const sample = async (parameters) => (await ask("api/sample", parameters)).blob();

export const derive = async (image, parameters) =>
  (await ask("api/derive", parameters, { method: "POST", body: image })).blob();

export async function translate(image, parameters, mask = null) {
  let body = image;
  if (mask) {
    body = new FormData();
    body.append("image", image, "image");
    body.append("mask", mask, "mask");
  }
  return (await ask("api/translate", parameters, { method: "POST", body })).blob();
}

/**
 * Does work that is asked for more often than it can be done: never more than one piece behind the running one, and
 * that one sees the newest state, because it looks when it begins.
 */
export class Latest {
  #work;
  #running = false;
  #again = false;

  constructor(work) {
    this.#work = work;
  }

  async ask() {
    this.#again = true;
    if (this.#running) return;
    this.#running = true;
    try {
      while (this.#again) {
        this.#again = false;
        await this.#work();
      }
    } finally {
      this.#running = false;
    }
  }
}
