import { readFile } from 'node:fs/promises';
import { askAt, checkPage, expect, keepPicture, places, test, type Page } from './visit';

const pair = JSON.stringify([
  ['war', 'The soldiers attacked the town.'],
  ['peace', 'The gardeners watered the town.'],
]);

async function compared(page: Page) {
  await expect(page.getByRole('heading', { name: 'Domains over layers' })).toBeVisible();
}

const matrix = (page: Page) =>
  page.getByRole('region', { name: 'Expected maximum of the normalised activation' }).last();

/** The numbers in the cells of a column. */
const numbers = async (page: Page, cells: string) =>
  (await matrix(page).locator(`tbody tr ${cells}`).allInnerTexts()).map(Number);

test('sets one question in three languages side by side', async ({ page }) => {
  await page.goto('/#/compare');
  await page.getByRole('button', { name: 'One question, three languages' }).click();
  await compared(page);
  await expect(page.getByRole('listbox')).toHaveCount(3);
  await expect(page.getByRole('listbox').nth(2)).toContainText('समाचार');
  await expect(page.getByText('not proof of cause')).toBeVisible();
  const charts = page.getByRole('region', { name: 'Domains over layers' }).locator('figure');
  expect(await charts.count()).toBeGreaterThan(0);
  // Named are the layers that are read, and no others.
  const saes = (await (await page.request.get('/api/v1/saes')).json()) as {
    saes: { layer: number; traced: boolean }[];
  };
  const layers = saes.saes.filter(({ traced }) => traced).map(({ layer }) => layer);
  const ticks = await charts.first().locator('text.x').allTextContents();
  expect(ticks.map(Number)).toEqual([...new Set(layers)].sort((a, b) => a - b));

  // Question and answer apart, each with the tokens that count.
  const counted = async () =>
    (await page.locator('.counted').allInnerTexts()).map((text) => Number(text.split(': ').at(-1)));
  const asked = await counted();
  await page.getByRole('combobox', { name: 'Compare', exact: true }).selectOption('answer');
  expect(page.url()).toContain('part=answer');
  const answered = await counted();
  expect(answered).toHaveLength(3);
  expect(answered).not.toEqual(asked);
  await expect(page.getByRole('combobox', { name: 'by', exact: true })).toContainText(
    `expected maximum of ${Math.min(...answered)} tokens`,
  );
  await page.getByRole('combobox', { name: 'Compare', exact: true }).selectOption('question');
  await keepPicture(page, 'compare');
  await checkPage(page);
});

test('aligns features, sorts them and finds their token', async ({ page }) => {
  await askAt(page, places.compare({ prompts: pair, mode: 'text', max: '0' }));
  await compared(page);
  const differences = await numbers(page, 'td.strong');
  const sizes = differences.map(Math.abs);
  expect(sizes.length).toBeGreaterThan(5);
  expect(sizes).toEqual([...sizes].sort((a, b) => b - a));

  await matrix(page).getByRole('button', { name: 'war' }).click();
  await expect(matrix(page).locator('th[aria-sort=descending]')).toHaveText(/war/);
  const war = await numbers(page, 'td:nth-child(2)');
  expect(war).toEqual([...war].sort((a, b) => b - a));
  expect(page.url()).toContain('sort=0');

  await matrix(page).locator('tbody td.value button').first().click();
  const panel = page.getByRole('region', { name: 'Features of the token' });
  await expect(panel).toBeVisible();
  await expect(page.getByRole('listbox').first().locator('[aria-selected=true]')).toHaveCount(1);
  await expect(panel.locator('li').first()).toBeVisible();
  // The token that is shown is where the feature is strongest of all tokens.
  const name = await matrix(page).locator('tbody .place a').first().innerText();
  const values = await panel.locator('li strong').allTextContents();
  await page.getByRole('combobox', { name: 'by', exact: true }).selectOption('max');
  const largest = page.getByRole('region', { name: 'Largest normalised activation' }).last();
  const row = largest.locator('tbody tr').filter({ has: page.getByRole('link', { name }) });
  expect(values).toContain((await row.first().locator('td:nth-child(2)').innerText()).trim());
  expect(page.url()).toContain('statistic=max');
  await page.getByRole('combobox', { name: 'by', exact: true }).selectOption('expected_max');

  const wait = page.waitForEvent('download');
  await page.getByRole('button', { name: 'CSV' }).click();
  const csv = (await readFile(await (await wait).path())).toString();
  expect(csv.split('\r\n')[0]).toBe('sae,layer,feature,score,domains,explanation,war,peace,spread');
});

test('brings a deep link back', async ({ page }) => {
  const query = { prompts: pair, mode: 'text', max: '0', domains: 'violence', sort: 'score' };
  await askAt(page, places.compare({ ...query, token: '2', of: '1' }));
  await compared(page);
  await expect(page.getByLabel('Prompt 1', { exact: true })).toHaveValue(
    'The soldiers attacked the town.',
  );
  await expect(page.getByRole('button', { name: 'Violence' })).toHaveAttribute(
    'aria-pressed',
    'true',
  );
  await expect(page.getByRole('listbox').nth(1).locator('[aria-selected=true]')).toHaveCount(1);
  for (const row of await matrix(page).locator('tbody tr').all())
    await expect(row).toContainText('Violence');
});

test('counts whether firing goes with knowing', async ({ page }) => {
  await page.goto('/#/compare');
  await page.getByRole('button', { name: 'Known and invented statesmen' }).click();
  await compared(page);
  const knowledge = page.getByRole('region', { name: 'Does firing go with knowing?' }).first();
  await expect(knowledge.getByRole('checkbox')).toHaveCount(8);
  const counts = async () =>
    (await knowledge.locator('.counts tbody .numeric').allTextContents()).map(Number);
  const [knownFires = 0, knownSilent = 0, unknownFires = 0, unknownSilent = 0] = await counts();
  expect(knownFires + knownSilent).toBe(4);
  expect(unknownFires + unknownSilent).toBe(4);
  await expect(knowledge).toContainText('% of all ways');

  await expect(knowledge.getByText('in sight')).toHaveCount(0);
  await expect(knowledge.locator('tbody tr').first().locator('td').first()).toHaveText(
    /^\s*\d+\s*$/,
  );
  await knowledge.getByRole('checkbox', { name: 'Abraham Lincoln' }).uncheck();
  await expect(knowledge.getByText('were changed with the result in sight')).toBeVisible();
  const after = await counts();
  expect((after[0] ?? 0) + (after[1] ?? 0)).toBe(3);
  await knowledge.getByLabel('Fires above').fill('0.3');
  await knowledge.getByLabel('Fires above').press('Enter');
  expect(page.url()).toContain('least=0.3');
  await expect(page.getByRole('listbox')).toHaveCount(8);
  await knowledge.scrollIntoViewIfNeeded();
  await keepPicture(page, 'compare-knowledge');
  await checkPage(page);
});

test('works in the dark and on a narrow screen', async ({ page }) => {
  await page.emulateMedia({ colorScheme: 'dark' });
  await askAt(page, places.compare({ prompts: pair, mode: 'text', max: '0' }));
  await compared(page);
  await checkPage(page);
  await page.setViewportSize({ width: 390, height: 844 });
  await checkPage(page);
  await keepPicture(page, 'compare-narrow-dark');
});
