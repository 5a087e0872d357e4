// The graphics card's painter, played by the processor: slow, but the same picture.

import config from '../playwright.config';
import { expect, test, type Page } from './visit';

const { executablePath, args = [] } = config.use?.launchOptions ?? {};
test.use({
  launchOptions: {
    ...(executablePath ? { executablePath } : {}),
    args: [
      ...args.filter((arg) => !/gpu|rasterizer/.test(arg)),
      '--use-angle=swiftshader',
      '--enable-unsafe-swiftshader',
    ],
  },
});

/** How much of the map is not its ground, of each of its colours' leading part. */
async function shares(page: Page): Promise<number[]> {
  const picture = (await page.locator('.map canvas').screenshot()).toString('base64');
  return page.evaluate(async (text) => {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const bitmap = await createImageBitmap(new Blob([bytes], { type: 'image/png' }));
    const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
    const context = canvas.getContext('2d');
    context?.drawImage(bitmap, 0, 0);
    const data = context?.getImageData(0, 0, bitmap.width, bitmap.height).data ?? [];
    const sums = [0, 0, 0];
    for (let i = 0; i < data.length; i += 4)
      for (let c = 0; c < 3; c++) sums[c] = (sums[c] ?? 0) + 255 - (data[i + c] ?? 0);
    return sums.map((sum) => sum / (data.length / 4));
  }, picture);
}

test('WebGL and canvas paint the same picture', async ({ page, faults }) => {
  await page.goto('/#/landscape?renderer=webgl');
  await expect(page.getByText('drawn with WebGL')).toBeVisible();
  await page.waitForLoadState('networkidle');
  const webgl = await shares(page);
  await page.goto('/#/landscape?renderer=canvas');
  await expect(page.getByText('drawn on a 2-D canvas')).toBeVisible();
  await page.waitForLoadState('networkidle');
  const canvas = await shares(page);
  // Coverage at the rim of a disc is rounded differently.
  for (const [i, share] of webgl.entries()) {
    expect(share).toBeGreaterThan(0.5);
    expect(Math.abs(share / (canvas[i] ?? 0) - 1)).toBeLessThan(0.15);
  }
  faults.splice(0, faults.length, ...faults.filter((fault) => !/GL Driver Message/.test(fault)));
});

test('a slow WebGL is not taken without being asked for', async ({ page, faults }) => {
  await page.goto('/#/landscape');
  await expect(page.getByText('drawn on a 2-D canvas')).toBeVisible();
  faults.splice(0, faults.length, ...faults.filter((fault) => !/software WebGL/.test(fault)));
});
