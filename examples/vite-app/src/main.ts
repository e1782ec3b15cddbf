/** The page: a filter, how strong it is, an image, and the result on a canvas. */
import { apply, FILTERS, type Filter, type Filters, openDevice } from "./filter.ts";
import { drawn, load } from "./picture.ts";

function find<E extends Element>(selector: string): E {
  const found = document.querySelector<E>(selector);
  if (!found) throw new Error(`the page has no ${selector}`);
  return found;
}
const canvas = find<HTMLCanvasElement>("#canvas");
const status = find<HTMLElement>("#status");
const choice = find<HTMLSelectElement>("[name=filter]");
const sigma = find<HTMLInputElement>("[name=sigma]");
const file = find<HTMLInputElement>("[name=file]");

function say(text: string, failed = false): void {
  status.textContent = text;
  status.className = failed ? "failed" : "";
}

/** Kernels by name, each made when it is first wanted. */
function kernels(device: GPUDevice, filters: Filters): (name: string) => Promise<Filter> {
  const made = new Map<string, Promise<Filter>>();
  return (name) => {
    const kernel = made.get(name) ?? filters[name]!(device);
    made.set(name, kernel);
    return kernel;
  };
}

function put(image: ImageData): void {
  canvas.width = image.width;
  canvas.height = image.height;
  canvas.getContext("2d")?.putImageData(image, 0, 0);
}

async function start(): Promise<void> {
  let picture = drawn();
  put(picture);
  const device = await openDevice();
  let kernel = kernels(device, FILTERS);

  const show = async (): Promise<void> => {
    const name = choice.value;
    const filter = await kernel(name);
    const begin = performance.now();
    const made = await apply(filter, picture, Number(sigma.value));
    put(made);
    say(`${name} of ${made.width} × ${made.height} pixels in ${(performance.now() - begin).toFixed(1)} ms`);
  };
  // One at a time: what is asked for meanwhile waits, and only the last of it counts.
  let busy = false;
  let again = false;
  const redraw = async (): Promise<void> => {
    again = true;
    if (busy) return;
    busy = true;
    try {
      while (again) {
        again = false;
        await show();
      }
    } catch (error) {
      say(String(error), true);
    } finally {
      busy = false;
    }
  };

  choice.replaceChildren(...Object.keys(FILTERS).map((name) => new Option(name)));
  choice.addEventListener("change", redraw);
  sigma.addEventListener("input", redraw);
  file.addEventListener("change", async () => {
    const chosen = file.files?.[0];
    if (!chosen) return;
    try {
      picture = await load(chosen);
      await redraw();
    } catch (error) {
      say(`${chosen.name}: ${error}`, true);
    }
  });
  // Kernels of an edited pipeline take the place of the old ones; the picture and the settings stay.
  import.meta.hot?.accept("./filter.ts", (next) => {
    if (!next) return;
    kernel = kernels(device, next["FILTERS"] as Filters);
    void redraw();
  });
  await redraw();
}

start().catch((error: unknown) => say(error instanceof Error ? error.message : String(error), true));
