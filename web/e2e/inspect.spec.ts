import { readFile } from 'node:fs/promises';
import { askAt, checkPage, expect, keepPicture, places, test, type Page } from './visit';

const question = 'How do news reports describe an attack?';
const short = { q: question, max: '24' };

const tokens = (page: Page) => page.getByRole('listbox').getByRole('option');
const panel = (page: Page) => page.getByRole('region', { name: 'Features of the token' });

async function answered(page: Page) {
  await expect(page.getByRole('status')).toHaveText(/tokens (in|after)/);
}

test('answers a question token by token and shows what fires', async ({ page }) => {
  await page.goto('/');
  await page.getByLabel('Question to the model').fill(question);
  await page.getByText('Settings').click();
  await page.getByLabel('Tokens at most').fill('24');
  await page.getByText('Settings').click();
  await page.getByRole('button', { name: 'Ask', exact: true }).click();
  await answered(page);

  const listbox = page.getByRole('listbox');
  await expect(listbox.getByRole('group', { name: 'User' })).toContainText(question);
  await expect(listbox.getByRole('group', { name: 'Model' })).not.toBeEmpty();
  expect(new URL(page.url()).hash).toContain('q=How+do+news+reports');

  const word = tokens(page).filter({ hasText: 'attack' }).first();
  await word.hover();
  await expect(panel(page)).toContainText('attack');
  await word.click();
  await expect(word).toHaveAttribute('aria-selected', 'true');
  await expect(panel(page).getByRole('button', { name: 'Unpin' })).toBeVisible();

  const values = await panel(page).locator('li strong').allTextContents();
  expect(values.length).toBeGreaterThan(0);
  const numbers = values.map(Number).filter((value) => !Number.isNaN(value));
  expect(numbers).toEqual([...numbers].sort((a, b) => b - a));
  await keepPicture(page, 'inspect');
  await checkPage(page);

  const place = panel(page).getByRole('link').first();
  const name = (await place.textContent()) ?? '';
  await place.click();
  await expect(page).toHaveTitle(/Feature · Safesail$/);
  await expect(page.getByRole('main')).toContainText(name.split(':')[1] ?? name);
  await page.goBack();
  await answered(page);
  await expect(panel(page)).toContainText('attack');
});

test('brings a deep link back: question, pinned token, colouring, filter', async ({ page }) => {
  await askAt(page, places.inspect({ ...short, token: '33' }));
  await answered(page);
  await expect(panel(page)).toContainText('token 33');
  await panel(page)
    .getByRole('button', { name: /Colour tokens by/ })
    .first()
    .click();
  const url = page.url();
  expect(url).toContain('feature=');
  const chosen = await page.getByLabel('Colour by').inputValue();
  expect(chosen).toBe('feature');

  await page.goto('about:blank');
  await page.goto(url);
  await answered(page);
  await expect(page.getByLabel('Colour by')).toHaveValue('feature');
  await expect(panel(page)).toContainText('token 33');
});

test('makes the model work for the visitor alone, not for a link', async ({ page }) => {
  const asked: string[] = [];
  page.on('request', (request) => {
    if (/\/(chat|trace|compare)$/.test(request.url())) asked.push(request.url());
  });
  await page.goto(places.inspect(short));
  await expect(page.getByText('Nothing has been asked yet.')).toBeVisible();
  await expect(page.getByLabel('Question to the model')).toHaveValue(question);
  await page.waitForLoadState('networkidle');
  expect(asked).toEqual([]);
  await checkPage(page);
  await keepPicture(page, 'inspect-unasked');
  await page.getByRole('button', { name: 'Ask', exact: true }).click();
  await answered(page);
  expect(asked).toHaveLength(1);
  // What was asked here may be asked again.
  await page.reload();
  await answered(page);
  expect(asked).toHaveLength(2);
});

test('goes on with a conversation, and stops when told', async ({ page }) => {
  await askAt(page, places.inspect({ q: 'Name a colour.', max: '8' }));
  await answered(page);
  await page.getByLabel('Question to the model').fill('Name another.');
  await page.getByRole('button', { name: 'Follow up' }).click();
  const users = page.getByRole('group', { name: 'User' });
  await expect(users).toHaveCount(2);
  await answered(page);
  expect(page.url()).toContain('before=');

  await page.getByText('Settings').click();
  await page.getByLabel('Tokens at most').fill('512');
  await page.getByLabel('Question to the model').fill('Tell a very long story.');
  await page.getByRole('button', { name: 'Ask', exact: true }).click();
  await expect(page.getByRole('status')).toHaveText(/so far/);
  await page.getByRole('button', { name: 'Stop' }).click();
  await expect(page.getByRole('button', { name: 'Stop' })).toBeHidden();
  const kept = await tokens(page).count();
  expect(kept).toBeGreaterThan(0);
  expect(kept).toBeLessThan(512);
  await page.goBack();
  await expect(users).toHaveCount(2);
});

test('filters by domain, layer and score', async ({ page }) => {
  await askAt(page, places.inspect(short));
  await answered(page);
  const domains = page.getByRole('group', { name: 'Colour and filter' });
  await tokens(page).filter({ hasText: 'attack' }).first().click();
  const all = await panel(page).locator('li').count();

  const violence = domains.getByRole('button', { name: 'Violence' });
  await violence.click();
  await expect(violence).toHaveAttribute('aria-pressed', 'true');
  for (const item of await panel(page).locator('li').all())
    await expect(item).toContainText('Violence');
  expect(await panel(page).locator('li').count()).toBeLessThan(all);
  await violence.click();

  await domains.getByLabel('Score from').fill('0.99');
  await expect(panel(page)).toContainText('filtered out');
  await expect(panel(page).locator('li')).toHaveCount(0);
  await domains.getByLabel('Score from').fill('');
  await expect(panel(page).locator('li')).toHaveCount(all);

  const layer = domains.getByLabel('Layer');
  const first = await layer.locator('option').nth(1).textContent();
  await layer.selectOption({ index: 1 });
  for (const place of await panel(page).locator('li .place').allTextContents())
    expect(place.split(':')[0]).toBe(first);
});

test('is read by keyboard alone', async ({ page }) => {
  await askAt(page, places.inspect({ ...short, mode: 'trace' }));
  await expect(page.getByRole('listbox')).toBeVisible();
  const listbox = page.getByRole('listbox');
  for (
    let i = 0;
    i < 60 && !(await listbox.evaluate((node) => node === document.activeElement));
    i++
  )
    await page.keyboard.press('Tab');
  await expect(listbox).toBeFocused();

  const active = () =>
    listbox.evaluate(
      (node) =>
        document.getElementById(node.getAttribute('aria-activedescendant') ?? '')?.dataset.position,
    );
  await page.keyboard.press('Home');
  expect(await active()).toBe('0');
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('ArrowRight');
  expect(await active()).toBe('2');
  await page.keyboard.press('ArrowLeft');
  expect(await active()).toBe('1');
  await page.keyboard.press('Enter');
  await expect(tokens(page).nth(1)).toHaveAttribute('aria-selected', 'true');
  expect(page.url()).toContain('token=1');
  await page.keyboard.press('End');
  expect(await active()).toBe(String((await tokens(page).count()) - 1));
  await page.keyboard.press('Escape');
  await expect(page.locator('[role=option][aria-selected=true]')).toHaveCount(0);
  expect(page.url()).not.toContain('token=');
});

test('shows Hindi and Chinese whole, though tokens cut their characters', async ({ page }) => {
  for (const [name, text] of [
    ['hindi', 'समाचार किसी हमले का वर्णन कैसे करते हैं?'],
    ['chinese', '新闻报道如何描述一次袭击？'],
  ] as const) {
    await page.goto('about:blank');
    await askAt(page, places.inspect({ q: text, mode: 'trace', token: '5' }));
    await expect(page.getByRole('listbox')).toBeVisible();
    const shown = await page.getByRole('listbox').locator('.words').allTextContents();
    expect(shown.join('').trim()).toBe(text);
    expect(await tokens(page).count()).toBeGreaterThan(text.length / 2);
    await expect(panel(page)).toContainText(/part \d of \d|token 5/);
    await keepPicture(page, `inspect-${name}`);
  }
});

test('reads Arabic from right to left', async ({ page }) => {
  await askAt(page, places.inspect({ q: 'كيف تصف الأخبار الهجوم؟', mode: 'trace' }));
  const listbox = page.getByRole('listbox');
  await expect(listbox).toBeVisible();
  await listbox.focus();
  await page.keyboard.press('Home');
  await page.keyboard.press('ArrowLeft');
  expect(
    await listbox.evaluate(
      (node) =>
        document.getElementById(node.getAttribute('aria-activedescendant') ?? '')?.dataset.position,
    ),
  ).toBe('1');
});

test('saves JSON, CSV, SVG and PNG', async ({ page }) => {
  await askAt(page, places.inspect({ ...short, mode: 'trace' }));
  await expect(page.getByRole('listbox')).toBeVisible();
  const save = async (name: string) => {
    const wait = page.waitForEvent('download');
    await page.getByRole('button', { name, exact: true }).click();
    return readFile(await (await wait).path());
  };
  const n = await tokens(page).count();
  const trace = JSON.parse((await save('JSON')).toString()) as { tokens: unknown[]; text: string };
  expect(trace.tokens).toHaveLength(n);
  expect(trace.text).toBe(question);
  const lines = (await save('CSV')).toString().trimEnd().split('\r\n');
  expect(lines.length).toBeGreaterThanOrEqual(n + 1);
  expect((await save('SVG')).toString()).toMatch(/^<svg [^]*<\/svg>$/);
  expect((await save('PNG')).subarray(1, 4).toString()).toBe('PNG');
});

test('says what to do when the server refuses', async ({ page, faults }) => {
  await askAt(page, places.inspect({ q: 'x '.repeat(6000), mode: 'trace' }));
  const alert = page.getByRole('alert');
  await expect(alert).toBeVisible();
  await expect(alert.locator('.remedy')).not.toBeEmpty();
  // The browser itself notes the status of the answer.
  expect(faults.filter((fault) => !fault.includes('Failed to load resource'))).toEqual([]);
  faults.length = 0;
});

test('works in the dark and on a narrow screen', async ({ page }) => {
  await page.emulateMedia({ colorScheme: 'dark' });
  await askAt(page, places.inspect({ ...short, token: '30' }));
  await answered(page);
  await checkPage(page);
  await keepPicture(page, 'inspect-dark');
  await page.setViewportSize({ width: 390, height: 844 });
  await checkPage(page);
  await keepPicture(page, 'inspect-narrow-dark');
  await page.emulateMedia({ colorScheme: 'light' });
  await checkPage(page);
  await keepPicture(page, 'inspect-narrow');
});
