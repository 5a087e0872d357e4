// An atlas that came from elsewhere, whose SAEs are not called as the sites that they read are.
import { checkPage, expect, keepPicture, test, type Page } from './visit';

const url = process.env.SAFESAIL_IMPORTED_URL ?? '';
test.skip(!url, 'needs a server of an imported atlas');

interface Landscape {
  ids: number[];
  x: number[];
  y: number[];
  sae: number[];
  sae_names: string[];
}
interface Line {
  id: number;
  name: string;
  sae: string;
  site: string;
}

const get = async <T>(page: Page, path: string) =>
  (await (await page.request.get(`${url}/api/v1/${path}`)).json()) as T;
const map = (page: Page) => page.getByRole('application');

test('opens a feature from the landscape, by a click and from the selection', async ({ page }) => {
  const landscape = await get<Landscape>(page, 'landscape');
  const { features } = await get<{ features: Line[] }>(page, 'features?limit=500');
  const lines = new Map(features.map((line) => [line.id, line]));
  expect(features[0]?.sae.split('/')[0]).not.toBe(features[0]?.site);

  await page.goto(`${url}/#/landscape`);
  await expect(map(page)).toBeVisible();
  const space = landscape.x.map((x, i) =>
    Math.min(
      ...landscape.x.map((other, j) =>
        i === j ? 9 : Math.hypot(x - other, (landscape.y[i] ?? 0) - (landscape.y[j] ?? 0)),
      ),
    ),
  );
  const lone = space.indexOf(Math.max(...space));
  const name = lines.get(landscape.ids[lone] ?? 0)?.name ?? '';
  const box = await map(page).boundingBox();
  if (!box) throw new Error('the map has no place');
  const scale = Math.min(box.width, box.height) * 0.92;
  await page.mouse.click(
    box.x + box.width / 2 + ((landscape.x[lone] ?? 0) - 0.5) * scale,
    box.y + box.height / 2 - ((landscape.y[lone] ?? 0) - 0.5) * scale,
  );
  await expect(page.getByRole('heading', { level: 1 })).toHaveText(name);
  await expect(page).toHaveTitle(`${name} · Feature · Safesail`);
  await page.goBack();

  await page.getByRole('button', { name: 'Select view' }).click();
  const list = page.getByRole('region', { name: /selected/ });
  if (landscape.sae_names.length > 1) {
    await expect(page.getByText('laid over one another')).toBeVisible();
    // One SAE at a time, whichever it is.
    const of = list.getByLabel(/Of the SAE/);
    for (const sae of landscape.sae_names) {
      await of.selectOption(sae);
      const n = landscape.sae.filter((one) => landscape.sae_names[one] === sae).length;
      await expect(page.getByRole('heading', { level: 2 })).toHaveText(`${n} selected`);
    }
  }
  await keepPicture(page, 'landscape-imported');
  await checkPage(page);
  const link = list.getByRole('link').first();
  await expect(link).toHaveText(/:\d+$/);
  const chosen = (await link.textContent()) ?? '';
  await link.click();
  await expect(page.getByRole('heading', { level: 1 })).toHaveText(chosen);
});

test('opens a feature from the table, and its neighbours', async ({ page }) => {
  await page.goto(`${url}/#/atlas`);
  const first = page.getByRole('grid').getByRole('link').first();
  const name = (await first.textContent()) ?? '';
  await first.click();
  await expect(page.getByRole('heading', { level: 1 })).toHaveText(name);
});
