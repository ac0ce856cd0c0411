// The market's page beside a living project: what it shows is compared with what the server says, its buttons with what
// soloist does, and it is kept true while workbooks change and the server goes and comes.

import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { barriers, fits, must, play, soloist, until } from './stage.mjs';

const { PROJECT, MARKET, MARKET_ALONE } = process.env;

const api = async (path) => (await fetch(new URL(path, MARKET))).json();
const processor = async () => JSON.parse((await soloist('status', '--json')).stdout).services.find(({ name }) => name === 'processor');
/** Puts another number into a cell of the live workbook, as its producer does. */
const change = (from, to) => promisify(execFile)('python3', [join(PROJECT, 'change.py'), String(from), String(to)]);
/** A number as the server writes it. */
const written = (value) => value.toLocaleString('en-US');

/** Opens a view and waits until it, and not the one before, is there. */
async function open(page, base, view, ready) {
  await page.goto(`${base}/#/${view}`);
  await page.waitForFunction((hash) => document.querySelector('#main')?.dataset.view === hash, `#/${view}`);
  await page.locator(ready).first().waitFor();
}

/** What is written in the rows of a table. */
const cells = (page, label) => page.getByRole('region', { name: label }).locator('tbody tr').evaluateAll((rows) => rows.map((row) => [...row.cells].map((cell) => cell.textContent)));

await play(async (stage) => {
  const { page, base } = stage;
  const age = page.locator('#age');

  // All stocks, found by letters, with the keyboard alone.
  const { all_stocks: all } = await api('/api/v1/stocks');
  const tiles = page.getByRole('list', { name: 'All stocks' }).locator('a');
  await page.waitForFunction((count) => document.querySelectorAll('ul[aria-label="All stocks"] a').length === count, all.length);
  must((await tiles.allTextContents()).join() === all.join(), 'the stocks of the grid');
  await page.getByRole('list', { name: 'Favourites' }).getByRole('link', { name: 'RELIANCE' }).waitFor();
  await page.keyboard.press('/');
  await page.keyboard.type('bank');
  const banks = all.filter((name) => name.includes('BANK'));
  await page.waitForFunction((count) => document.querySelectorAll('ul[aria-label="All stocks"] a').length === count, banks.length);
  await page.keyboard.press('ArrowDown');
  must((await page.evaluate(() => document.activeElement.textContent)) === banks[0], 'the stock in focus');
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: banks[0], level: 1 }).waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('searchbox').fill('');

  // A favourite is kept over a reload.
  await page.getByRole('list', { name: 'All stocks' }).getByRole('button', { name: 'Favourite ABB', exact: true }).click();
  must((await page.evaluate(() => localStorage.getItem('oi_favorites'))) === '["RELIANCE","ABB"]', 'the favourites that are kept');
  await page.reload();
  await page.getByRole('list', { name: 'Favourites' }).getByRole('link', { name: 'ABB', exact: true }).waitFor();

  // One stock: chart and tables have the numbers of the server.
  await open(page, base, 'stock/ABB', '.ladder');
  const abb = await api('/api/v1/stocks/ABB');
  const plus = (text, value) => (value > 0 ? `+${text}` : text);
  const live = abb.live.map((row) => [row.Section, row.Label, row.Prev_OI, row.Strike, plus(row.OI_Diff, row.numbers.oi_diff), row.Is_NewStrike, row.Add_Strike]);
  const historical = abb.historical.map((row) => [row.Stock, row.Category, row.Strike, row.Prev_OI, row.Latest_OI, plus(row.Call_OI_Difference, row.numbers.call_oi_difference), plus(row.Put_OI_Difference, row.numbers.put_oi_difference), row.LTP, row.Additional_Strike]);
  must(JSON.stringify(await cells(page, 'Live rows of ABB')) === JSON.stringify(live), 'the live rows of ABB');
  must(JSON.stringify(await cells(page, 'Historical rows of ABB')) === JSON.stringify(historical), 'the historical rows of ABB');
  const strikes = [...new Set([...abb.historical, ...abb.live].map((row) => row.numbers.strike).filter((strike) => strike !== null))].sort((a, b) => b - a);
  must((await page.locator('.rung').evaluateAll((rungs) => rungs.map((rung) => Number(rung.dataset.strike)))).join() === strikes.join(), 'the strikes of the chart');
  const above = await page.locator('.ladder > *').evaluateAll((all) => all.findIndex((one) => one.className === 'spot'));
  must(above === strikes.filter((strike) => strike > abb.historical[0].numbers.ltp).length, `the price is below ${above} strikes`);
  const strongest = abb.live.find((row) => row.Section === 'Call Resistance' && row.Label === 'Resistance1');
  await page.locator(`.rung[data-strike="${strongest.Strike}"] .call .mark.resistance`, { hasText: 'R1' }).waitFor();
  const figures = page.locator(`.rung[data-strike="${strongest.Strike}"] .call .difference`);
  must(strongest.numbers.oi_diff < 0 && (await figures.textContent()).startsWith('-') && (await figures.getAttribute('data-tone')) === 'bad', 'the sign of an unwound strike');
  const tints = await page.getByRole('region', { name: 'Live rows of ABB' }).locator('tbody tr').evaluateAll((rows) => rows.map((row) => `${row.cells[0].textContent} ${row.dataset.tone}`));
  must(tints.includes('Call Resistance bad') && tints.includes('Put Support good') && tints.includes('Call Support undefined'), `the tints of the rows: ${tints}`);

  // The open stock follows the workbooks.
  const was = strongest.numbers.prev_oi;
  await change(was, was + 500_000);
  await page.getByRole('region', { name: 'Live rows of ABB' }).getByText(written(was + 500_000), { exact: true }).waitFor();
  must((await api('/api/v1/stocks/ABB')).live.some((row) => row.numbers.prev_oi === was + 500_000), 'the server after the change');

  // A late answer does not overwrite a newer one.
  let late = null;
  await page.route('**/api/v1/stocks/ABB', async (route) => {
    const response = await route.fetch();
    const isFirst = !late && (await response.text()).includes(written(was + 600_000));
    if (isFirst) late = { route, response };
    else await route.fulfill({ response });
  });
  await change(was + 500_000, was + 600_000);
  await until(() => late, 'an answer to hold');
  await change(was + 600_000, was + 700_000);
  await page.getByRole('region', { name: 'Live rows of ABB' }).getByText(written(was + 700_000), { exact: true }).waitFor();
  const finished = page.waitForEvent('requestfinished', (request) => request === late.route.request());
  await late.route.fulfill({ response: late.response });
  await finished;
  // Whatever was asked before has been taken when this comes.
  await page.evaluate(() => fetch('/health').then((answer) => answer.json()));
  await page.unroute('**/api/v1/stocks/ABB');
  const shown = await cells(page, 'Live rows of ABB');
  must(shown.some((row) => row[2] === written(was + 700_000)), 'the newer answer stays');

  // Over all stocks.
  await page.keyboard.press('g');
  await page.keyboard.press('m');
  await page.getByRole('region', { name: 'Biggest builds' }).locator('tbody tr').first().waitFor();
  const { builds, unwinds } = await api('/api/v1/stocks/biggest?limit=30');
  for (const [label, moves] of [['Biggest builds', builds], ['Biggest unwinds', unwinds]]) {
    const told = moves.map((move) => `${move.stock} ${move.side} ${move.strike} ${plus(written(move.diff), move.diff)}`);
    must((await cells(page, label)).map(([stock, side, strike, , diff]) => `${stock} ${side} ${strike} ${diff}`).join() === told.join(), label);
  }

  // The processor: its interval, a run now, stop and start.
  await open(page, base, 'processing', '.worker .facts dd');
  const worker = page.getByRole('region', { name: 'Processor', exact: true });
  await worker.locator('.badge', { hasText: /^on$/ }).waitFor();
  await page.getByRole('button', { name: 'Interval Processor' }).click();
  await page.getByRole('dialog').getByLabel('Seconds').fill('2');
  await page.getByRole('dialog').getByRole('button', { name: 'Change' }).click();
  await worker.locator('dd', { hasText: /^2 s$/ }).waitFor();
  must((await processor()).schedule.triggers[0] === 'every 2s', 'the interval of the processor');
  must((await age.getAttribute('data-tone')) === 'good', `the age while it runs: ${await age.textContent()}`);
  await page.getByRole('button', { name: 'Stop Processor' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click();
  must((await processor()).wanted === 'up', 'the processor after a stop that was cancelled');
  await page.getByRole('button', { name: 'Stop Processor' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Stop' }).click();
  await worker.locator('.badge', { hasText: 'stopped' }).waitFor();
  must((await processor()).wanted === 'down', 'the processor after Stop');
  await page.locator('#age[data-tone=bad]', { hasText: 'stale' }).waitFor();
  await page.locator('#note', { hasText: 'the processor is stopped' }).waitFor();
  const runs = (await api('/api/v1/stocks/processing-history')).processing_history.length;
  await change(was + 700_000, was + 800_000);
  await page.getByRole('button', { name: 'Refresh now Processor' }).click();
  await page.waitForFunction((before) => document.querySelectorAll('[aria-label="Runs of the processor"] tbody tr').length > before, Math.min(runs, 49));
  must((await api('/api/v1/stocks/ABB')).live.some((row) => row.numbers.prev_oi === was + 800_000), 'the rows after Refresh now');
  must((await processor()).wanted === 'down', 'the processor after Refresh now');
  await page.getByRole('button', { name: 'Start Processor' }).click();
  await worker.locator('.badge', { hasText: /^on$/ }).waitFor();
  await page.locator('#age[data-tone=good]').waitFor();
  await page.locator('.charts canvas').nth(1).waitFor();

  // A workbook that is none is refused with the reason, and nothing is lost.
  stage.refusals.push(/\/upload\/excel-files$/);
  const broken = join(PROJECT, 'broken.xlsx');
  await writeFile(broken, 'no workbook at all');
  const books = page.getByRole('region', { name: 'Upload', exact: true });
  await books.getByLabel('Historical.xlsx').setInputFiles(join(PROJECT, 'live_data/Historical.xlsx'));
  await books.getByLabel('Live.xlsx').setInputFiles(broken);
  const before = await readFile(join(PROJECT, 'live_data/Live.xlsx'));
  await books.getByRole('button', { name: 'Upload' }).click();
  await books.locator('.why', { hasText: 'Refused, and nothing was replaced' }).waitFor();
  must((await readFile(join(PROJECT, 'live_data/Live.xlsx'))).equals(before), 'the live workbook after a refused upload');
  await page.locator('.toast.bad button').click();
  await books.getByLabel('Live.xlsx').setInputFiles(join(PROJECT, 'first/Live.xlsx'));
  await books.getByRole('button', { name: 'Upload' }).click();
  await books.locator('.why', { hasText: 'of' }).waitFor();
  await until(async () => (await api('/api/v1/stocks/ABB')).live.some((row) => row.numbers.prev_oi === was), 'the rows of the upload');

  // Gaps: what the server finds by the same filters, in its order.
  await open(page, base, 'scanner', '.filters');
  const quotes = page.getByRole('region', { name: 'Quotes with gaps' });
  await page.locator('h1 + .badge', { hasText: 'regular session' }).waitFor();
  const agrees = (query) => until(async () => {
    const told = await api(`/api/instant_data?${query}`);
    const seen = await cells(page, 'Quotes with gaps');
    return told.stocks.length > 0 && told.stocks.map(({ symbol }) => symbol).join() === seen.map(([symbol]) => symbol).join() && seen;
  }, `the quotes of ${query}`);
  await agrees('sort=-gap&limit=100');
  await page.getByLabel('Gap from, %').fill('2');
  await page.getByLabel('Class').selectOption('up');
  const found = await agrees('sort=-gap&limit=100&min_gap=2&class=up');
  must(found.every((row) => Number(row[3]) >= 2 && row[7] === 'up' && row[10] !== ''), `gaps from 2 %: ${found[0]}`);
  await quotes.getByRole('button', { name: 'Price' }).click();
  must((await quotes.getByRole('columnheader', { name: 'Price' }).getAttribute('aria-sort')) === 'descending', 'the order of the prices');
  await agrees('sort=-price&limit=100&min_gap=2&class=up');
  await quotes.getByRole('button', { name: 'Price' }).click();
  await agrees('sort=price&limit=100&min_gap=2&class=up');
  const scanner = page.getByRole('region', { name: 'Scanner', exact: true });
  await page.getByRole('button', { name: 'Stop Scanner' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Stop' }).click();
  await scanner.locator('.badge', { hasText: 'stopped' }).waitFor();
  must((await quotes.locator('tbody tr').count()) > 0, 'the quotes after the stop');
  await page.getByRole('button', { name: 'Start Scanner' }).click();
  await scanner.locator('.badge:not([data-tone=off])').waitFor();

  // The server goes and comes: the loss is shown, and what happened meanwhile is caught up.
  await open(page, base, 'stock/ABB', '.ladder');
  stage.isAway = true;
  await soloist('stop', 'api');
  await page.locator('#link[data-link=lost]').waitFor();
  await page.locator('#lost', { hasText: 'does not answer' }).waitFor();
  await page.locator('#age[data-tone=bad]').waitFor();
  await page.locator('.ladder').waitFor();
  await change(was, was + 900_000);
  await soloist('start', 'api');
  await page.locator('#link[data-link=live]').waitFor();
  await page.getByRole('region', { name: 'Live rows of ABB' }).getByText(written(was + 900_000), { exact: true }).waitFor();
  must(await page.locator('#lost').isHidden(), 'the banner after the server came back');
  stage.isAway = false;

  // Nobody is left before a wrong name.
  stage.refusals.push(/\/stocks\/ABBX$/);
  await page.goto(`${base}/#/stock/ABBX`);
  await page.getByText('did you mean ABB?').waitFor();

  // Every view, in both themes, wide and narrow: it fits, and keeps nobody out.
  const views = [['', '.grid a'], ['stock/ABB', '.ladder'], ['moves', 'tbody tr'], ['scanner', 'tbody tr'], ['processing', '.worker .facts dd']];
  for (const theme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme: theme, reducedMotion: 'reduce' });
    for (const width of [1440, 375, 320]) {
      await page.setViewportSize({ width, height: 900 });
      for (const [view, ready] of views) {
        await open(page, base, view, ready);
        const where = `#/${view}, ${theme}, ${width} px`;
        await fits(page, where);
        if (width !== 320) await barriers(page, where);
      }
    }
  }
  const ground = await page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  must(ground === 'rgb(16, 21, 27)', `the ground in the dark: ${ground}`);
}, { page: MARKET });

// Without a soloist it is read, and says so.
await play(async ({ page, base }) => {
  await page.locator('#note', { hasText: 'Read-only' }).waitFor();
  await open(page, base, 'stock/ABB', '.ladder');
  await open(page, base, 'processing', '.worker .badge');
  await page.getByRole('region', { name: 'Processor', exact: true }).locator('.badge', { hasText: 'not supervised' }).waitFor();
  must(await page.getByRole('button', { name: 'Start Processor' }).isDisabled(), 'Start without a soloist');
  await barriers(page, 'the page without a soloist');
}, { page: MARKET_ALONE });
