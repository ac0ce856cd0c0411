// The page beside a living project: a crash, every button, an interval, a lost daemon, both themes, a telephone.


import { barriers, fits, must, play, soloist } from './stage.mjs';

const status = async (name) => {
  const told = JSON.parse((await soloist('status', '--json')).stdout);
  return told.services.find((service) => service.name === name);
};

await play(async (stage) => {
  const { page } = stage;
  stage.refusals.push(/\/services\/web\/start$/, /\/schedules\/scan$/);
  const row = (name) => page.locator('.rows .row').filter({ has: page.getByRole('link', { name, exact: true }) });
  const shows = (name, word) => row(name).locator('.badge', { hasText: word }).waitFor();

  // It is live: a crash is seen without anybody asking.
  await shows('api', 'ready');
  const before = await status('api');
  must((await row('api').locator('.pid').textContent()) === String(before.pid), 'the pid of api');
  process.kill(before.pid, 'SIGKILL');
  await page.waitForFunction(([was]) => {
    const rows = [...document.querySelectorAll('.rows .row')];
    const api = rows.find((one) => one.querySelector('.name a').textContent === 'api');
    const pid = api.querySelector('.pid').textContent;
    return pid && pid !== was && api.querySelector('.restarts').textContent === '1' && api.querySelector('.word').textContent === 'ready';
  }, [String(before.pid)]);

  // Stop asks first; Cancel changes nothing.
  await page.getByRole('button', { name: 'Stop api' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click();
  must((await status('api')).state === 'ready', 'api after a stop that was cancelled');
  await page.getByRole('button', { name: 'Stop api' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Stop' }).click();
  await shows('api', 'stopped');
  must((await status('api')).state === 'stopped', 'api after Stop');
  await page.getByRole('button', { name: 'Start api' }).click();
  await shows('api', 'ready');
  const running = await status('api');
  await page.getByRole('button', { name: 'Restart api' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Restart' }).click();
  await page.waitForFunction((was) => [...document.querySelectorAll('.rows .pid')].every((cell) => cell.textContent !== was), String(running.pid));
  await shows('api', 'ready');

  // A refusal is shown with its reason, and stays.
  await page.getByRole('button', { name: 'Start web' }).click();
  const refusal = page.locator('.toast.bad');
  await refusal.waitFor();
  must(/port \d+/.test(await refusal.textContent()), `the refusal: ${await refusal.textContent()}`);
  await refusal.getByRole('button').click();

  // Keys.
  await page.keyboard.press('/');
  await page.keyboard.type('scrap');
  await page.waitForFunction(() => document.querySelectorAll('.rows .row').length === 1);
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'scraper', level: 1 }).waitFor();
  await page.keyboard.press('Escape');
  // The page of a service has a search of its own, so the other one is waited for.
  await page.getByRole('heading', { name: 'Services', level: 1 }).waitFor();
  await page.getByRole('searchbox').fill('');
  await page.waitForFunction(() => document.querySelectorAll('.rows .row').length > 1);
  await page.keyboard.press('Escape');
  await page.keyboard.press('?');
  await page.getByRole('dialog').getByRole('button', { name: 'Close' }).click();

  // One service: why, what happened, and the crash among it.
  await page.goto(`${stage.base}/#/service/api`);
  await page.locator('.why').filter({ hasText: /\w/ }).waitFor();
  await page.locator('.entries .badge', { hasText: 'restarting' }).first().waitFor();
  await page.locator('.timeline span').first().waitFor();
  const told = await status('api');
  await page.getByRole('region', { name: 'Processes' }).getByText(`${told.pid} (main)`).waitFor();
  await page.getByRole('region', { name: 'Runs' }).getByText('by signal 9').waitFor();
  await page.getByRole('region', { name: 'Declaration' }).getByText('stop-grace').waitFor();
  await page.locator('.charts canvas').first().waitFor();

  // What a worker says of itself, and its log: it is followed, searched, held and saved.
  await page.goto(`${stage.base}/#/service/scraper`);
  await page.locator('.said progress').waitFor();
  await page.locator('.lines', { hasText: '40 rows' }).waitFor();
  const last = () => page.locator('.lines > div').last().textContent();
  const held = await last();
  await page.waitForFunction((was) => document.querySelector('.lines').lastChild.textContent !== was, held);
  await page.getByRole('button', { name: 'Pause' }).click();
  await page.getByLabel('Search the log').fill('page 1:');
  await page.waitForFunction(() => document.querySelectorAll('.lines mark').length > 0);
  const saved = page.waitForEvent('download');
  await page.getByRole('link', { name: 'Download' }).click();
  must((await saved).suggestedFilename() === 'scraper.log', 'the name of the saved log');

  // Who is on which port, and that a stranger is one.
  await page.goto(`${stage.base}/#/ports`);
  await page.locator('tbody .badge[data-tone=good]', { hasText: 'api' }).waitFor();
  await page.locator('tbody .badge[data-tone=bad]').waitFor();

  // The history, by service and by kind.
  await page.goto(`${stage.base}/#/history`);
  await page.getByLabel('Service', { exact: true }).fill('api');
  await page.keyboard.press('Enter');
  await page.getByLabel('Kind').selectOption('restarting');
  await page.waitForFunction(() => document.querySelectorAll('.entries tbody tr').length === 1);

  // Schedules: a run now, another interval, a pause, hours by order.
  await page.keyboard.press('Escape');
  await page.goto(`${stage.base}/#/schedules`);
  await page.getByRole('button', { name: 'Run now scan' }).click();
  await page.locator('.toast', { hasText: 'scan' }).waitFor();
  await page.getByRole('button', { name: 'Interval scan' }).click();
  await page.getByLabel('Every').fill('2h');
  await page.getByRole('dialog').getByRole('button', { name: 'Change' }).click();
  await page.locator('li', { hasText: 'every 2h' }).first().waitFor();
  must((await status('scan')).schedule.triggers[0] === 'every 2h', 'the interval of scan');
  await page.getByRole('button', { name: 'Interval scan' }).click();
  await page.getByLabel('Every').fill('soon');
  await page.getByRole('dialog').getByRole('button', { name: 'Change' }).click();
  await page.locator('.toast.bad', { hasText: 'soon' }).getByRole('button').click();
  await page.getByRole('button', { name: 'Pause scan' }).click();
  await page.getByRole('button', { name: 'Resume scan' }).click();
  await page.getByRole('button', { name: 'Pause scan' }).waitFor();
  await page.getByRole('button', { name: 'Open or close hours' }).click();
  await page.getByLabel('Window or calendar').fill('never');
  await page.getByRole('dialog').getByRole('button', { name: 'Order it' }).click();
  await page.locator('.overrides', { hasText: 'never is open' }).waitFor();
  await page.getByRole('button', { name: 'Take back never' }).click();
  await page.getByText('All windows keep their hours.').waitFor();
  must((await page.locator('.axis .session').count()) > 0, 'no session on the axis');

  // The daemon is killed and another one comes: the loss is shown, and what happened meanwhile is caught up.
  await page.goto(`${stage.base}/#/`);
  await shows('api', 'ready');
  stage.isAway = true;
  const old = JSON.parse((await soloist('status', '--json')).stdout).daemon.pid;
  process.kill(old, 'SIGKILL');
  await page.locator('#link[data-link=lost]').waitFor();
  await page.locator('#lost', { hasText: 'lost' }).waitFor();
  await soloist('stop', 'scraper');
  await page.locator('#link[data-link=live]').waitFor();
  await shows('scraper', 'stopped');
  must(await page.locator('#lost').isHidden(), 'the banner after the connection came back');
  stage.isAway = false;

  // Every view, in both themes, wide and narrow: it fits, and keeps nobody out.
  for (const theme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme: theme, reducedMotion: 'reduce' });
    for (const width of [1440, 375, 320]) {
      await page.setViewportSize({ width, height: 900 });
      for (const view of ['', 'service/api', 'schedules', 'ports', 'history']) {
        await page.goto(`${stage.base}/#/${view}`);
        await page.locator('h1').first().waitFor({ state: 'attached' });
        const where = `#/${view}, ${theme}, ${width} px`;
        await fits(page, where);
        if (width !== 320) await barriers(page, where);
      }
    }
  }
  const ground = await page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  must(ground === 'rgb(16, 21, 27)', `the ground in the dark: ${ground}`);
  await page.locator('#theme').click();
  must((await page.evaluate(() => document.documentElement.dataset.theme)) === 'light', 'the switch');
});
