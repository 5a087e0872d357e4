import { checkPage, expect, keepPicture, test, type Page } from './visit';

interface Run {
  name: string;
  cells: { sae: string; site: string; architecture: string; k: number; fvu: { value: number } }[];
  selection: {
    chosen: { architecture: string; k: number };
    reason: string;
    metrics: { sae: string; concept: string; n_accepted: number; p: number }[];
  };
}

async function open(page: Page, query = ''): Promise<Run> {
  const run = (await (await page.request.get('/api/v1/runs')).json()) as Run;
  await page.goto(`/#/runs${query}`);
  await expect(page.getByRole('heading', { level: 1 })).toHaveText(`Run ${run.name}`);
  return run;
}

const table = (page: Page) => page.getByRole('region', { name: 'All SAEs' });

test('says which configuration is recommended, and why', async ({ page }) => {
  const run = await open(page);
  await expect(page.getByText(run.selection.reason)).toBeVisible();
  const { architecture, k } = run.selection.chosen;
  const n = run.cells.filter((cell) => cell.architecture === architecture && cell.k === k).length;
  await expect(table(page).getByText('recommended')).toHaveCount(n);
  await expect(page.locator('circle.ring')).toHaveCount(n);
  await checkPage(page);
  await keepPicture(page, 'runs');
});

test('lists every SAE with its numbers', async ({ page }) => {
  const run = await open(page);
  await expect(table(page).getByRole('row')).toHaveCount(run.cells.length + 1);
  for (const { sae, fvu } of run.cells.slice(0, 3))
    await expect(table(page).getByRole('row').filter({ hasText: sae })).toContainText(
      fvu.value.toFixed(3),
    );
});

test('shows another measure, SAE and concept, and keeps them in the address', async ({ page }) => {
  const run = await open(page);
  const sae = run.cells.at(-1)?.sae ?? '';
  await page.getByLabel('Against L0').selectOption('excess');
  await page.getByLabel('Threshold t').selectOption('0.1');
  await table(page).getByRole('button', { name: sae }).click();
  const selection = page.getByRole('group', { name: `Selection of ${sae}` });
  const metric = run.selection.metrics.find(
    (one) => one.sae === sae && one.concept === 'terror/weapons',
  );
  const row = selection.getByRole('button', { name: /^Weapons/ });
  await expect(row).toContainText(`${metric?.n_accepted} accepted`);
  await row.click();
  await page.reload();
  await expect(page.getByLabel('Against L0')).toHaveValue('excess');
  await expect(page.getByRole('button', { name: sae, pressed: true })).toBeVisible();
  await expect(
    page.getByRole('heading', { name: /^Weapons: features that distinguish/ }),
  ).toBeVisible();
  await checkPage(page);
});

test('tells of each point under the pointer, and in a table', async ({ page }) => {
  const run = await open(page);
  const chart = page.getByRole('img', { name: /^mlp_out.*FVU/ }).first();
  const box = await chart.locator('.dot').first().boundingBox();
  if (!box) throw new Error('no point is drawn');
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  await expect(page.locator('.tip')).toContainText(/k16/);
  const site = run.cells[0]?.site;
  const same = run.cells.filter((cell) => cell.site === site).length;
  const figure = page.locator('figure').first();
  await figure.getByText('As a table').click();
  await expect(figure.getByRole('row')).toHaveCount(same + 1);
});

test('works with the keyboard alone', async ({ page }) => {
  await open(page);
  const concepts = page.getByRole('group', { name: /^Selection of/ }).getByRole('button');
  await concepts.first().focus();
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await expect(concepts.nth(1)).toHaveAttribute('aria-pressed', 'true');
});

test('fits a phone, in the dark', async ({ page }) => {
  await page.setViewportSize({ width: 390, height: 844 });
  await page.emulateMedia({ colorScheme: 'dark' });
  await open(page);
  await checkPage(page);
  await keepPicture(page, 'runs-phone');
});

test('says what to do where no run is served', async ({ page }) => {
  await page.route('**/api/v1/health', async (route) => {
    const health = (await (await route.fetch()).json()) as object;
    await route.fulfill({ json: { ...health, run: false } });
  });
  await page.goto('/#/runs');
  await expect(page.getByText('There is no run to show')).toBeVisible();
  await checkPage(page);
});
