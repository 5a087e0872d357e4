import { checkPage, expect, keepPicture, test, type Locator, type Page } from './visit';
import { tellingWord } from './words';

const grid = (page: Page) => page.getByRole('grid', { name: 'Features' });
const rows = (page: Page) => grid(page).locator('[role=row][aria-rowindex]');
const count = (page: Page) => page.getByText(/^[\d,]+ features$/);
const address = (page: Page) => new URL(page.url()).hash;

async function ask<T>(page: Page, path: string): Promise<T> {
  return (await page.request.get(`/api/v1/${path}`)).json() as Promise<T>;
}
interface Listing {
  total: number;
  features: { id: number; name: string; sae: string; explanation: string; score: number }[];
}

// What a small run finds differs with the rounding of the CPU that trains it, so that these are
// looked up.
async function domainWithSubclasses(page: Page): Promise<string> {
  const { subclasses } = await ask<{ subclasses: { name: string }[] }>(page, 'stats');
  const domain = subclasses[0]?.name.split('/')[0];
  if (domain === undefined) throw new Error('no feature of this run has a subclass');
  return domain;
}
async function featureWithNeighbours(page: Page): Promise<number> {
  const { features } = await ask<Listing>(page, 'features?limit=200');
  for (const { id } of features) {
    const { nearest } = await ask<{ nearest: unknown[] }>(page, `features/${id}`);
    if (nearest.length > 0) return id;
  }
  throw new Error('no feature of this run has a neighbour in its atlas');
}
// The middle of a wide slice's box is the hole of the ring.
async function clickOnArc(page: Page, slice: Locator) {
  const { x, y } = await slice.evaluate((path: SVGPathElement) => {
    const rim = path.getPointAtLength(10);
    const inside = new DOMPoint(0.95 * rim.x, 0.95 * rim.y);
    const { x, y } = inside.matrixTransform(path.getScreenCTM() ?? undefined);
    return { x, y };
  });
  await page.mouse.click(x, y);
}

test('lists the atlas, best first, and says how many', async ({ page }) => {
  const listing = await ask<Listing>(page, 'features?limit=3');
  await page.goto('/#/atlas');
  await expect(count(page)).toHaveText(`${listing.total.toLocaleString('en')} features`);
  await expect(grid(page)).toHaveAttribute('aria-rowcount', String(listing.total));
  for (const [i, feature] of listing.features.entries())
    await expect(rows(page).nth(i)).toContainText(feature.name);
  await checkPage(page);
  await keepPicture(page, 'atlas');
});

test('searches as one types, and an answer that comes late changes nothing', async ({ page }) => {
  const word = await tellingWord(page);
  await page.goto('/#/atlas');
  await expect(rows(page).first()).toBeVisible();
  // The first word's answer is held back until the second's is shown.
  let release: () => void = () => undefined;
  const held = new Promise<void>((resolve) => (release = resolve));
  await page.route(/\/features\?.*text=the\b/, async (route) => {
    await held;
    await route.continue().catch(() => undefined);
  });
  const search = page.getByLabel('Search explanations');
  await search.fill('the');
  await page.waitForRequest(/\/features\?.*text=the\b/);
  await search.fill(word);
  const expected = await ask<Listing>(page, `features?text=${word}&order=relevance&limit=1`);
  await expect(count(page)).toHaveText(`${expected.total} features`);
  release();
  await page.waitForLoadState('networkidle');
  await expect(count(page)).toHaveText(`${expected.total} features`);
  await expect(rows(page).first()).toContainText(expected.features[0]?.name ?? '');
  expect(address(page)).toContain(`text=${word}`);
});

test('filters by domain and subclass from the sunburst, and Back takes it back', async ({
  page,
}) => {
  const all = await ask<Listing>(page, 'features?limit=1');
  const domain = await domainWithSubclasses(page);
  const some = await ask<Listing>(page, `features?domains=${domain}&limit=1`);
  await page.goto('/#/atlas');
  const chart = page.getByRole('group', { name: 'Features by domain and subclass' });
  await clickOnArc(page, chart.getByRole('button', { name: new RegExp(`^${domain}:`, 'i') }));
  await expect(count(page)).toHaveText(`${some.total} features`);
  const toggle = new RegExp(`^${domain} \\d`, 'i');
  await expect(page.getByRole('button', { name: toggle, pressed: true })).toBeVisible();
  expect(address(page)).toContain(`domains=${domain}`);

  const concepts = page.getByRole('list', { name: 'Finest concepts' });
  const finest = concepts.getByRole('button').first();
  const n = Number(/(\d+)$/.exec((await finest.innerText()).trim())?.[1]);
  await finest.click();
  await expect(count(page)).toHaveText(`${n} features`);
  expect(address(page)).toContain('subclass=');

  await page.goBack();
  await page.goBack();
  await expect(count(page)).toHaveText(`${all.total} features`);
});

test('shows the features of several domains at once', async ({ page }) => {
  const { total: n } = await ask<Listing>(page, 'features?domains=violence,politics&limit=1');
  await page.goto('/#/atlas');
  const toggles = page.getByRole('group', { name: 'Domain', exact: true });
  await toggles.getByRole('button', { name: /^Violence/ }).click();
  await toggles.getByRole('button', { name: /^Politics/ }).click();
  await expect(count(page)).toHaveText(`${n} features`);
  await expect(toggles.getByRole('button', { pressed: true })).toHaveCount(2);
  await toggles.getByRole('button', { name: /^Violence/ }).click();
  await expect(toggles.getByRole('button', { pressed: true })).toHaveText(/^Politics/);
});

test('filters by layer and score, sorts, and clears', async ({ page }) => {
  const all = await ask<Listing>(page, 'features?limit=1');
  const some = await ask<Listing>(
    page,
    'features?layer=7&min_score=0.4&order=score&ascending=true&limit=1',
  );
  await page.goto('/#/atlas');
  await page.getByRole('combobox', { name: 'Layer', exact: true }).selectOption('7');
  await page.getByLabel('Least score').fill('0.4');
  await page.getByLabel('Least score').press('Tab');
  await page.getByLabel('Smallest first').check();
  await expect(count(page)).toHaveText(`${some.total} features`);
  await expect(rows(page).first()).toContainText(some.features[0]?.name ?? '');
  await page.reload();
  await expect(count(page)).toHaveText(`${some.total} features`);
  await page.getByRole('button', { name: 'Clear all' }).click();
  await expect(count(page)).toHaveText(`${all.total} features`);
});

test('reads further rows as one scrolls, and draws only those in sight', async ({ page }) => {
  await page.goto('/#/atlas');
  const n = Number(await grid(page).getAttribute('aria-rowcount'));
  const last = page.waitForRequest(new RegExp(`offset=${Math.floor((n - 1) / 100) * 100}&`));
  await grid(page).evaluate((box) => (box.scrollTop = box.scrollHeight));
  await last;
  await expect(grid(page).locator(`[aria-rowindex="${n}"]`)).toContainText('mlp_out');
  expect(await rows(page).count()).toBeLessThan(60);
});

test('works with the keyboard alone', async ({ page }) => {
  await page.goto('/#/atlas');
  await expect(rows(page).first()).toContainText('mlp_out');
  await grid(page).focus();
  await page.keyboard.press('End');
  await page.keyboard.press('Home');
  for (let i = 0; i < 3; i++) await page.keyboard.press('ArrowDown');
  await page.keyboard.press('ArrowUp');
  await expect(grid(page)).toHaveAttribute('aria-activedescendant', 'row-2');
  const name = await rows(page).nth(2).getByRole('link').innerText();
  await expect.poll(() => address(page)).toContain('row=2');
  await page.keyboard.press('Enter');
  await expect(page.getByRole('heading', { level: 1 })).toHaveText(name);
  await page.goBack();
  await expect(page.locator('#row-2')).toHaveAttribute('aria-selected', 'true');
});

test('says what to do where nothing matches', async ({ page }) => {
  await page.goto('/#/atlas?text=qqqqzzzz');
  await expect(page.getByText('No feature matches')).toBeVisible();
  await checkPage(page);
});

test('a phone shows the table first', async ({ page }) => {
  await page.setViewportSize({ width: 390, height: 844 });
  await page.emulateMedia({ colorScheme: 'dark' });
  await page.goto('/#/atlas');
  await expect(rows(page).first()).toBeInViewport();
  await page.getByText('Domains and concepts').click();
  await expect(page.getByRole('group', { name: /by domain and subclass/ })).toBeVisible();
  await checkPage(page);
  await keepPicture(page, 'atlas-phone');
});

test.describe('a feature', () => {
  test('is found by name and by id', async ({ page }) => {
    const { features } = await ask<Listing>(page, 'features?domains=violence&limit=1');
    const feature = features[0];
    if (!feature) throw new Error('the atlas has no feature of violence');
    const href = `/#/feature/${feature.name}?${new URLSearchParams({ sae: feature.sae })}`;
    for (const path of [href, `/#/feature/${feature.id}`]) {
      await page.goto(path);
      await expect(page.getByRole('heading', { level: 1 })).toHaveText(feature.name);
      await expect(page.getByText(feature.explanation)).toBeVisible();
    }
    await expect(page.getByRole('img', { name: /^segment/ })).toBeVisible();
    await expect(page.getByText('Floor').first()).toBeVisible();
    await checkPage(page);
    await keepPicture(page, 'feature');
  });

  test('speaks the languages of its explanation', async ({ page }) => {
    await page.goto('/#/feature/1');
    await page.getByRole('button', { name: '中文' }).click();
    await expect(page.locator('p[lang=zh]')).toContainText('激活');
    await page.reload();
    await expect(page.locator('p[lang=zh]')).toContainText('激活');
  });

  test('shows its exemplars by level, kind and use, lit where it fires', async ({ page }) => {
    await page.goto('/#/feature/1');
    const exemplars = page.getByRole('region', { name: /^Exemplars/ });
    await expect(exemplars.getByRole('heading', { level: 3 }).first()).toContainText('Level');
    expect(await exemplars.locator('mark').count()).toBeGreaterThan(10);
    await exemplars.getByLabel('Group by').selectOption('kind');
    await expect(exemplars.getByRole('heading', { level: 3 }).first()).toContainText('strongest');
    await exemplars.getByRole('combobox', { name: 'Use', exact: true }).selectOption('test');
    await expect(exemplars.getByText('for explaining').nth(1)).toBeHidden();
    const more = exemplars.getByRole('button', { name: /^Show all/ }).first();
    const before = await exemplars.getByRole('listitem').count();
    await more.click();
    expect(await exemplars.getByRole('listitem').count()).toBeGreaterThan(before);
  });

  test('lays the simulation below the truth, unit by unit', async ({ page }) => {
    interface Entry {
      explanations: { scores: { simulations: { values: number[]; units: unknown[] }[] }[] }[];
    }
    const entry = await ask<Entry>(page, 'features/1');
    const simulations = entry.explanations[0]?.scores[0]?.simulations ?? [];
    await page.goto('/#/feature/1?sim=0.0');
    await expect(page.getByText('below: what the simulator said')).toBeVisible();
    const region = page.getByRole('region', { name: /^Exemplars/ });
    await expect(region.getByRole('heading', { level: 2 })).toContainText(
      String(simulations.length),
    );
    const units = await region.locator('.unit').count();
    expect(units).toBeGreaterThan(20);
    await checkPage(page);
    await keepPicture(page, 'feature-simulated');
  });

  test('leads to its neighbours, its place and its SAE', async ({ page }) => {
    await page.goto(`/#/feature/${await featureWithNeighbours(page)}`);
    const name = await page.getByRole('heading', { level: 1 }).innerText();
    const near = page.getByRole('heading', { name: 'Nearest features' }).locator('..');
    const neighbour = near.getByRole('link').first();
    const other = await neighbour.innerText();
    await neighbour.click();
    await expect(page.getByRole('heading', { level: 1 })).toHaveText(other);
    expect(other).not.toBe(name);
    await page.getByRole('link', { name: 'Show it in the landscape' }).click();
    await expect(page.locator('circle.pin')).toBeVisible();
  });

  test('that does not exist says so', async ({ page, faults }) => {
    await page.goto('/#/feature/mlp_out.7:99999999');
    await expect(page.getByRole('alert')).toBeVisible();
    await expect(page.getByRole('link', { name: 'Atlas' }).last()).toBeVisible();
    faults.splice(0, faults.length, ...faults.filter((fault) => !fault.includes('404')));
  });

  test('fits a phone, in Chinese and dark', async ({ page }) => {
    await page.setViewportSize({ width: 390, height: 844 });
    await page.emulateMedia({ colorScheme: 'dark' });
    await page.goto('/#/feature/1');
    await page.getByLabel('Language', { exact: true }).selectOption('zh');
    await expect(page.getByRole('heading', { name: /^样例/ })).toBeVisible();
    await checkPage(page);
    await keepPicture(page, 'feature-phone');
  });
});

test('reaches the last of five million rows, by key, by bar and by wheel', async ({ page }) => {
  const total = 5_000_000;
  const { features } = await ask<Listing>(page, 'features?limit=1');
  await page.route(/\/api\/v1\/features\?/, async (route) => {
    const query = new URL(route.request().url()).searchParams;
    const offset = Number(query.get('offset') ?? 0);
    const n = Math.min(Number(query.get('limit')), total - offset);
    const lines = Array.from({ length: n }, (_, i) => ({
      ...features[0],
      id: offset + i + 1,
      name: `mlp_out.7:${offset + i}`,
    }));
    await route.fulfill({ json: { total, offset, features: lines } });
  });
  await page.goto('/#/atlas');
  await expect(count(page)).toHaveText('5,000,000 features');
  const inSight = async () => {
    const box = await grid(page).boundingBox();
    const tops = await rows(page).evaluateAll((all) =>
      all.map((row) => [row.getAttribute('aria-rowindex'), row.getBoundingClientRect().y] as const),
    );
    const seen = tops.filter(([, y]) => box && y >= box.y && y < box.y + box.height - 40);
    return seen.map(([index]) => Number(index)).sort((a, b) => a - b);
  };
  await grid(page).focus();
  await page.keyboard.press('End');
  await expect.poll(async () => (await inSight()).at(-1)).toBe(total);
  await expect(rows(page).filter({ hasText: `mlp_out.7:${total - 1}` })).toBeVisible();
  await keepPicture(page, 'atlas-long');

  await page.keyboard.press('Home');
  await expect.poll(async () => (await inSight())[0]).toBe(1);
  // The bar, halfway.
  await grid(page).evaluate((box) => {
    box.scrollTop = (box.scrollHeight - box.clientHeight) / 2;
  });
  await expect.poll(async () => Math.abs(((await inSight())[0] ?? 0) - total / 2)).toBeLessThan(20);
  // The wheel, by ten rows and back; the bar settles in between.
  const before = (await inSight())[0] ?? 0;
  const centre = await grid(page).boundingBox();
  await page.mouse.move((centre?.x ?? 0) + 200, (centre?.y ?? 0) + 200);
  await page.mouse.wheel(0, 540);
  await expect.poll(async () => ((await inSight())[0] ?? 0) - before).toBe(10);
  await page.waitForTimeout(400);
  expect(((await inSight())[0] ?? 0) - before).toBe(10);
  await page.mouse.wheel(0, -540);
  await expect.poll(async () => ((await inSight())[0] ?? 0) - before).toBe(0);
});
