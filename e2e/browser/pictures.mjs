// Takes the pictures of the documents, into the folder $E2E_PICTURES: the overview in both themes, one service, schedules.

import { join } from 'node:path';

import { must, play, soloist, view } from './stage.mjs';

const folder = process.env.E2E_PICTURES;

await play(async ({ page, base }) => {
  // It ends with an error, as it should: so there is something to see that went wrong.
  await soloist('start', 'importer').catch(() => null);
  await soloist('schedule', 'run', 'scan');
  const shot = async (where, name, theme = 'light') => {
    await page.emulateMedia({ colorScheme: theme, reducedMotion: 'reduce' });
    await view(page, base, where);
    const picture = await page.screenshot({ path: join(folder, `${name}.png`) });
    must(picture.length < 200_000, `${name}.png has ${picture.length} bytes`);
  };
  // Until the lines of CPU and memory have something to tell.
  await page.waitForFunction(() => [...document.querySelectorAll('.spark polyline')].some((line) => line.getAttribute('points').split(' ').length > 30), null, { timeout: 120_000 });
  await shot('', 'overview-light');
  await shot('', 'overview-dark', 'dark');
  await shot('schedules', 'schedules');
  await page.setViewportSize({ width: 1280, height: 1500 });
  await view(page, base, 'service/scraper');
  await page.locator('.lines', { hasText: '40 rows' }).waitFor();
  await page.locator('.charts canvas').first().waitFor();
  await shot('service/scraper', 'service');
}, { viewport: { width: 1280, height: 800 } });
