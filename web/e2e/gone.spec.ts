// A server that goes away while somebody looks.
import { checkPage, expect, keepPicture, test } from './visit';

const url = process.env.SAFESAIL_MORTAL_URL ?? '';
const pid = Number(process.env.SAFESAIL_MORTAL_PID ?? NaN);
test.skip(!url || !Number.isFinite(pid), 'needs a server that it may end');
test.describe.configure({ retries: 0 });

test('the atlas says so, keeps its rows and goes on when asked again', async ({ page, faults }) => {
  await page.goto(`${url}/#/atlas`);
  const grid = page.getByRole('grid');
  const total = Number(await grid.getAttribute('aria-rowcount'));
  expect(total, 'more than the first page').toBeGreaterThan(130);
  await expect(grid.getByRole('link').first()).toBeVisible();
  const first = await grid.getByRole('link').first().textContent();

  process.kill(pid);
  await expect
    .poll(() =>
      page.request.get(`${url}/api/v1/health`).then(
        () => 'there',
        () => 'gone',
      ),
    )
    .toBe('gone');
  await grid.focus();
  await page.keyboard.press('End');
  await expect(page.getByRole('alert')).toContainText('The server does not answer');
  await keepPicture(page, 'atlas-gone');
  await page.getByRole('button', { name: 'Try again' }).click();
  await expect(page.getByRole('alert')).toContainText('The server does not answer');
  await page.keyboard.press('Home');
  await grid.focus();
  await page.keyboard.press('Home');
  await expect(grid.getByRole('link').first()).toHaveText(first ?? '');
  await checkPage(page);
  expect(faults.filter((fault) => !/ERR_CONNECTION_REFUSED|Failed to load/.test(fault))).toEqual(
    [],
  );
  faults.length = 0;
});
