/** Where the pixels come from: a file, or a picture that is drawn here. */

/** Of pixels along the longer side. */
const MOST = 1024;

function context(width: number, height: number): OffscreenCanvasRenderingContext2D {
  const made = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  if (!made) throw new Error("the browser has no 2D canvas");
  return made;
}

/** An image, made smaller if it is large. */
export async function load(file: Blob): Promise<ImageData> {
  const image = await createImageBitmap(file);
  const scale = Math.min(1, MOST / Math.max(image.width, image.height));
  const width = Math.max(1, Math.round(image.width * scale));
  const height = Math.max(1, Math.round(image.height * scale));
  const c = context(width, height);
  c.drawImage(image, 0, 0, width, height);
  return c.getImageData(0, 0, width, height);
}

/** Hills before a sunset. */
export function drawn(width = 640, height = 448): ImageData {
  const c = context(width, height);
  const sky = c.createLinearGradient(0, 0, 0, height);
  sky.addColorStop(0, "#1b2a6b");
  sky.addColorStop(0.6, "#f08a4b");
  sky.addColorStop(1, "#ffd98a");
  c.fillStyle = sky;
  c.fillRect(0, 0, width, height);
  c.fillStyle = "#fff3c4";
  c.beginPath();
  c.arc(width * 0.68, height * 0.55, height * 0.12, 0, 2 * Math.PI);
  c.fill();
  const hills = ["#6d4a7c", "#463a68", "#1f2544"];
  for (const [i, colour] of hills.entries()) {
    c.fillStyle = colour;
    c.beginPath();
    c.moveTo(0, height);
    for (let x = 0; x <= width; x += 2) {
      const wave = Math.sin((x / width) * (5 + 3 * i) + 2 * i) + 0.3 * Math.sin((x / width) * 31 + i);
      c.lineTo(x, height * (0.68 + 0.1 * i - 0.05 * wave));
    }
    c.lineTo(width, height);
    c.fill();
  }
  c.fillStyle = "#ffffff";
  c.font = `bold ${Math.round(height / 9)}px serif`;
  c.fillText("Einsum, fused", width * 0.06, height * 0.2);
  return c.getImageData(0, 0, width, height);
}
