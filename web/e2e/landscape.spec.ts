import { checkPage, expect, keepPicture, test, type Page } from './visit';
import { tellingWord } from './words';

interface Landscape {
  n: number;
  ids: number[];
  x: number[];
  y: number[];
  domain: number[];
  sae: number[];
  index: number[];
  domain_names: string[];
  sae_names: string[];
}

const map = (page: Page) => page.getByRole('application');
const selected = (page: Page) => page.getByRole('heading', { level: 2 });

async function open(page: Page, query = ''): Promise<Landscape> {
  const landscape = (await (await page.request.get('/api/v1/landscape')).json()) as Landscape;
  await page.goto(`/#/landscape${query}`);
  await expect(map(page)).toBeVisible();
  return landscape;
}

/** Where the whole map shows a point. */
async function pixel(page: Page, { x, y }: { x: number; y: number }) {
  const box = await map(page).boundingBox();
  if (!box) throw new Error('the map has no place');
  const scale = Math.min(box.width, box.height) * 0.92;
  return {
    x: box.x + box.width / 2 + (x - 0.5) * scale,
    y: box.y + box.height / 2 - (y - 0.5) * scale,
  };
}

/** The point with the widest space around it, so that nothing else is hit. */
function loneliest({ x, y }: Landscape): number {
  const space = x.map((px, i) =>
    Math.min(...x.map((qx, j) => (i === j ? 9 : Math.hypot(px - qx, (y[i] ?? 0) - (y[j] ?? 0))))),
  );
  return space.indexOf(Math.max(...space));
}

const nameOf = (landscape: Landscape, i: number) =>
  `${landscape.sae_names[landscape.sae[i] ?? 0]?.split('/')[0]}:${landscape.index[i]}`;

/** How many of some points are of the SAE that has most of them: a lasso takes one at a time. */
function ofOne(saes: (number | string | undefined)[]): number {
  return Math.max(0, ...saes.map((sae) => saes.filter((one) => one === sae).length));
}

test('shows a feature under the pointer and opens it', async ({ page }) => {
  const landscape = await open(page);
  await expect(page.getByText('drawn on a 2-D canvas')).toBeVisible();
  const lone = loneliest(landscape);
  const at = await pixel(page, { x: landscape.x[lone] ?? 0, y: landscape.y[lone] ?? 0 });
  await page.mouse.move(at.x, at.y);
  const tip = map(page).getByRole('status');
  await expect(tip).toContainText(nameOf(landscape, lone));
  await expect(tip.locator('.explanation')).not.toBeEmpty();
  await keepPicture(page, 'landscape');
  await page.mouse.click(at.x, at.y);
  await expect(page.getByRole('heading', { level: 1 })).toHaveText(nameOf(landscape, lone));
});

test('paints its points', async ({ page }) => {
  await open(page);
  const coloured = () =>
    page.evaluate(() => {
      const canvas = document.querySelector('canvas');
      const image = canvas?.getContext('2d')?.getImageData(0, 0, canvas.width, canvas.height);
      const [r, g, b] = image?.data ?? [];
      let n = 0;
      for (let i = 0; image && i < image.data.length; i += 4)
        if (image.data[i] !== r || image.data[i + 1] !== g || image.data[i + 2] !== b) n++;
      return n;
    });
  await expect.poll(coloured).toBeGreaterThan(2000);
  const before = await coloured();
  // Dim points are smaller and paler, but they are there.
  await page.getByRole('button', { name: 'Violence' }).click();
  await expect.poll(coloured).toBeLessThan(before);
});

test('draws a lasso to a list with links and counts', async ({ page }) => {
  const landscape = await open(page);
  await page.getByRole('button', { name: 'Lasso' }).click();
  const corners = [
    { x: 0.3, y: 0.3 },
    { x: 0.7, y: 0.3 },
    { x: 0.7, y: 0.7 },
    { x: 0.3, y: 0.7 },
  ];
  const [first, ...rest] = await Promise.all(corners.map((corner) => pixel(page, corner)));
  if (!first) throw new Error('no corners');
  await page.mouse.move(first.x, first.y);
  await page.mouse.down();
  for (const corner of rest) await page.mouse.move(corner.x, corner.y, { steps: 12 });
  await page.mouse.up();
  const inside = ofOne(
    landscape.sae.filter((_, i) =>
      [landscape.x[i] ?? 0, landscape.y[i] ?? 0].every((value) => value > 0.3 && value < 0.7),
    ),
  );
  const shown = async () => Number(/\d+/.exec(await selected(page).innerText())?.[0] ?? 0);
  // A pointer stops on whole pixels, so points on the border may fall on either side.
  await expect.poll(async () => Math.abs((await shown()) - inside)).toBeLessThanOrEqual(3);
  const n = await shown();
  await expect(page.getByRole('list', { name: 'Domain' })).toContainText('No domain');
  await expect(page.locator('aside li').getByRole('link').first()).toBeVisible();
  await expect(page.locator('aside li p').first()).toContainText(/\w{4}/);
  await checkPage(page);
  await keepPicture(page, 'landscape-lasso');

  // The address holds the outline: a friend sees the same selection.
  await page.reload();
  await expect(selected(page)).toHaveText(`${n} selected`);
  await page.getByRole('button', { name: 'Clear' }).click();
  await expect(selected(page)).toHaveText('Nothing selected');
});

test('highlights what a search finds, and selects only that', async ({ page }) => {
  const word = await tellingWord(page);
  const { total, features } = (await (
    await page.request.get(`/api/v1/features?text=${word}&limit=500`)
  ).json()) as { total: number; features: { sae: string }[] };
  await open(page);
  await page.getByLabel('Highlight by explanation').fill(word);
  await expect(page.getByText(`${total} match`)).toBeVisible();
  await map(page).focus();
  await page.keyboard.press('s');
  await expect(selected(page)).toHaveText(`${ofOne(features.map(({ sae }) => sae))} selected`);
});

test('keeps the map when a search fails', async ({ page, faults }) => {
  await open(page);
  await page.route(/\/features\?.*text=/, (route) => route.abort());
  await page.getByLabel('Highlight by explanation').fill('anything');
  await expect(page.getByRole('alert')).toContainText('The server does not answer');
  await expect(map(page)).toBeVisible();
  await page.unroute(/\/features\?.*text=/);
  await page.getByRole('button', { name: 'Try again' }).click();
  await expect(page.getByText(/\d+ match/)).toBeVisible();
  await expect(page.getByRole('alert')).toHaveCount(0);
  faults.splice(0, faults.length, ...faults.filter((fault) => !fault.includes('Failed to load')));
});

test('works with the keyboard alone', async ({ page }) => {
  const landscape = await open(page);
  await map(page).focus();
  await page.keyboard.press('s');
  await expect(selected(page)).toHaveText(`${ofOne(landscape.sae)} selected`);
  await page.keyboard.press('+');
  await page.keyboard.press('+');
  await page.keyboard.press('ArrowLeft');
  await expect.poll(() => new URL(page.url()).hash).toContain('zoom=1.96');
  const tip = map(page).getByRole('status');
  await expect(tip).toBeVisible();
  await expect(tip.locator('strong')).toHaveText(/^\w+\.\d+:\d+$/);
  const name = await tip.locator('strong').innerText();
  await page.keyboard.press('Enter');
  await expect(page.getByRole('heading', { level: 1 })).toHaveText(name);
});

test('zooms with the wheel about the pointer, and moves', async ({ page }) => {
  await open(page);
  const centre = await pixel(page, { x: 0.5, y: 0.5 });
  await page.mouse.move(centre.x, centre.y);
  await page.mouse.wheel(0, -600);
  await expect.poll(() => new URL(page.url()).hash).toMatch(/zoom=2\.\d/);
  await page.mouse.down();
  await page.mouse.move(centre.x + 120, centre.y, { steps: 4 });
  await page.mouse.up();
  await expect.poll(() => new URL(page.url()).hash).toMatch(/x=0\.[34]/);
  await page.getByRole('button', { name: 'Show all' }).click();
  await expect.poll(() => new URL(page.url()).hash).not.toContain('zoom');
});

test('colours by layer and score, in the dark, on a phone', async ({ page }) => {
  await page.setViewportSize({ width: 390, height: 844 });
  await page.emulateMedia({ colorScheme: 'dark' });
  await open(page, '?colour=layer');
  await expect(page.locator('.ramp')).toHaveText(/^7\s*23$/);
  await page.getByLabel('Colour by').selectOption('score');
  await expect(page.locator('.ramp')).not.toHaveText(/^7\s*23$/);
  await checkPage(page);
  await keepPicture(page, 'landscape-phone');
});

test.describe('with fingers', () => {
  test.use({ hasTouch: true });

  test('two spread to zoom about their middle, one shows a feature, and opens it', async ({
    page,
  }) => {
    const landscape = await open(page);
    const { x, y } = await pixel(page, { x: 0.5, y: 0.5 });
    const session = await page.context().newCDPSession(page);
    const fingers = (type: 'touchStart' | 'touchMove' | 'touchEnd', apart: number | null) =>
      session.send('Input.dispatchTouchEvent', {
        type,
        touchPoints: apart === null ? [] : [-1, 1].map((side) => ({ x: x + side * apart, y })),
      });
    await fingers('touchStart', 40);
    for (let apart = 50; apart <= 120; apart += 10) await fingers('touchMove', apart);
    await fingers('touchEnd', null);
    await expect.poll(() => new URL(page.url()).hash).toContain('zoom=3.00');
    expect(new URL(page.url()).hash).toMatch(/x=0\.(499|500)/);

    await page.getByRole('button', { name: 'Show all' }).click();
    const lone = loneliest(landscape);
    const at = await pixel(page, { x: landscape.x[lone] ?? 0, y: landscape.y[lone] ?? 0 });
    await page.touchscreen.tap(at.x, at.y);
    await expect(map(page).getByRole('status')).toContainText(nameOf(landscape, lone));
    await page.touchscreen.tap(at.x, at.y);
    await expect(page.getByRole('heading', { level: 1 })).toHaveText(nameOf(landscape, lone));
  });
});
