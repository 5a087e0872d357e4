import { checkPage, expect, test } from './visit';

const pages = ['Inspect', 'Compare', 'Atlas', 'Landscape', 'Runs'];

test('leads to every page, and Back leads back', async ({ page }) => {
  await page.goto('/');
  for (const name of pages) {
    await page.getByRole('navigation').getByRole('link', { name }).click();
    await expect(page).toHaveTitle(new RegExp(`${name} · Safesail$`));
    await expect(page.getByRole('link', { name })).toHaveAttribute('aria-current', 'page');
  }
  await page.goBack();
  await expect(page).toHaveTitle('Landscape · Safesail');
});

test('is accessible on every page, light and dark, wide and narrow', async ({ page }) => {
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    for (const width of [1280, 390]) {
      await page.setViewportSize({ width, height: 844 });
      for (const name of pages) {
        await page.goto(`/#/${name.toLowerCase()}`);
        await expect(page).toHaveTitle(new RegExp(`${name} · Safesail$`));
        await page.waitForLoadState('networkidle');
        await checkPage(page);
      }
    }
  }
});

test('speaks Chinese, and remembers language and theme', async ({ page }) => {
  await page.goto('/');
  await page.getByLabel('Language').selectOption('zh');
  await expect(page.getByRole('link', { name: '检视' })).toBeVisible();
  await page.getByLabel('主题').selectOption('dark');
  await page.reload();
  await expect(page.locator('html')).toHaveAttribute('lang', 'zh');
  await expect(page.locator('html')).toHaveAttribute('data-theme', 'dark');
  await expect(page.getByRole('link', { name: '对比' })).toBeVisible();
});

test('says so where there is no such page', async ({ page }) => {
  await page.goto('/#/nowhere');
  await expect(page.getByText('There is no such page')).toBeVisible();
});

test('asks for the token of a server that wants one, and keeps it for the tab', async ({
  page,
  faults,
}) => {
  const guarded = process.env.SAFESAIL_GUARDED_URL;
  test.skip(!guarded, 'needs a second server, whose token is "secret"');
  await page.goto(`${guarded}/#/atlas`);
  const dialog = page.getByRole('dialog', { name: 'Access token' });
  await dialog.getByLabel('Token', { exact: true }).fill('wrong');
  await dialog.getByRole('button', { name: 'Continue' }).click();
  await expect(dialog.getByRole('alert')).toHaveText(/did not accept/);
  await dialog.getByLabel('Token', { exact: true }).fill('secret');
  await page.keyboard.press('Enter');
  await expect(dialog).toBeHidden();
  await expect(page.getByRole('grid')).toContainText('mlp_out');
  await page.reload();
  await expect(page.getByRole('grid')).toContainText('mlp_out');
  await expect(dialog).toBeHidden();
  expect(await page.evaluate(() => localStorage.getItem('safesail.token'))).toBeNull();
  faults.splice(0, faults.length, ...faults.filter((fault) => !fault.includes('401')));
});
