// Takes the pictures of the market's page, into the folder $E2E_PICTURES.

import { join } from 'node:path';

import { must, play } from './stage.mjs';

const { E2E_PICTURES, MARKET } = process.env;

await play(async ({ page, base }) => {
  const shot = async (view, name, ready, height, theme = 'light') => {
    await page.emulateMedia({ colorScheme: theme });
    await page.setViewportSize({ width: 1100, height });
    await page.goto(`${base}/#/${view}`);
    await page.locator(ready).first().waitFor();
    const picture = await page.screenshot({ path: join(E2E_PICTURES, `${name}.png`) });
    must(picture.length < 150_000, `${name}.png has ${picture.length} bytes`);
  };
  await page.getByRole('button', { name: 'Favourite INFY' }).click();
  await shot('', 'market', '.grid a', 640);
  await shot('stock/ABB', 'market-stock', '.ladder', 1090);
  await shot('scanner', 'market-scanner', 'tbody tr', 760, 'dark');
}, { page: MARKET });
