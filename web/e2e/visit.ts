// A visit on which nothing may go wrong unseen: console errors, page errors and breaches of the
// content policy fail the test.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { test as base, expect, type Locator, type Page } from '@playwright/test';

const axeSource = readFileSync(
  createRequire(import.meta.url).resolve('axe-core/axe.min.js'),
  'utf8',
);

export const test = base.extend<{ faults: string[] }>({
  faults: [
    async ({ page }, use) => {
      const faults: string[] = [];
      page.on('console', (message) => {
        if (message.type() === 'error') faults.push(message.text());
      });
      page.on('pageerror', (error) => faults.push(`uncaught: ${error.message}`));
      page.on('request', (request) => {
        const here = new URL(page.url() === 'about:blank' ? request.url() : page.url()).host;
        const { protocol, host } = new URL(request.url());
        if (protocol.startsWith('http') && host !== here) faults.push(`asks ${host}`);
      });
      await page.addInitScript(() => {
        document.addEventListener('securitypolicyviolation', (event) =>
          console.error(`content policy: ${event.violatedDirective} ${event.sourceFile}`),
        );
      });
      await use(faults);
      expect(faults).toEqual([]);
    },
    { auto: true },
  ],
});

/** No serious or critical finding of axe, and no sideways scrolling. */
export async function checkPage(page: Page) {
  const findings = await page.evaluate(async (source) => {
    // The policy forbids inline scripts, not what the debugger evaluates.
    if (!('axe' in window)) (0, eval)(source);
    const axe = (window as unknown as { axe: typeof import('axe-core') }).axe;
    const { violations } = await axe.run(document, { resultTypes: ['violations'] });
    return violations
      .filter(({ impact }) => impact === 'serious' || impact === 'critical')
      .map(
        ({ id, nodes }) =>
          `${id}: ${nodes
            .slice(0, 3)
            .map(({ html, failureSummary }) => `${html} ${failureSummary}`)
            .join(' | ')}`,
      );
  }, axeSource);
  expect(findings).toEqual([]);
  expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBe(0);
}

/** Kept beside what was built, for people to look at. */
export async function keepPicture(page: Page, name: string) {
  const folder = fileURLToPath(new URL('../../build/screenshots', import.meta.url));
  await page.screenshot({ path: `${folder}/${name}.png` });
}

export const places = {
  inspect: (query: Record<string, string> = {}) => `/#/inspect?${new URLSearchParams(query)}`,
  compare: (query: Record<string, string> = {}) => `/#/compare?${new URLSearchParams(query)}`,
};

/** Goes to a place that brings a question, and asks it: the model does not work for links alone. */
export async function askAt(page: Page, place: string) {
  await page.goto(place);
  await expect(page.getByText('Nothing has been asked yet.')).toBeVisible();
  await page.locator('main form button.primary').click();
}

export { expect, type Locator, type Page };
