// The page beside a living project: a crash, every button, an interval, a lost daemon, both themes, a telephone,
// a wall.

import { barriers, fits, must, play, soloist, view } from './stage.mjs';

const status = async (name) => {
  const told = JSON.parse((await soloist('status', '--json')).stdout);
  return told.services.find((service) => service.name === name);
};

await play(async (stage) => {
  const { page } = stage;
  const dialog = page.getByRole('dialog');
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
  await barriers(page, 'a question');
  await dialog.getByRole('button', { name: 'Cancel' }).click();
  await dialog.waitFor({ state: 'detached' });
  must((await status('api')).state === 'ready', 'api after a stop that was cancelled');
  await page.getByRole('button', { name: 'Stop api' }).click();
  await dialog.getByRole('button', { name: 'Stop' }).click();
  await shows('api', 'stopped');
  must((await status('api')).state === 'stopped', 'api after Stop');
  await page.getByRole('button', { name: 'Start api' }).click();
  await shows('api', 'ready');
  const running = await status('api');
  await page.getByRole('button', { name: 'Restart api' }).click();
  await dialog.getByRole('button', { name: 'Restart' }).click();
  await page.waitForFunction((was) => [...document.querySelectorAll('.rows .pid')].every((cell) => cell.textContent !== was), String(running.pid));
  await shows('api', 'ready');

  // A refusal is shown with its reason, and stays.
  await page.getByRole('button', { name: 'Start web' }).click();
  const refusal = page.locator('.toast.bad');
  await refusal.waitFor();
  must(/port \d+/.test(await refusal.textContent()), `the refusal: ${await refusal.textContent()}`);
  await barriers(page, 'a refusal');
  await refusal.getByRole('button').click();

  // What is no more leaves the list.
  await row('feed@eu').waitFor();
  await soloist('instances', 'feed', '--remove', 'eu');
  await row('feed@eu').waitFor({ state: 'detached' });

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
  await dialog.getByText('to the search field').waitFor();
  await barriers(page, 'the keys');
  await dialog.getByRole('button', { name: 'Close' }).click();
  // Whoever goes by the tab key sees where.
  for (let times = 0; times < 30; times += 1) {
    await page.keyboard.press('Tab');
    const [where, ring] = await page.evaluate(() => [document.activeElement.outerHTML, getComputedStyle(document.activeElement).outlineStyle]);
    must(ring !== 'none', `no ring around ${where}`);
  }
  await page.waitForFunction(() => [...document.querySelectorAll('.spark polyline')].some((line) => line.points.length > 1));

  // One service: why, what happened, and the crash among it.
  await view(page, stage.base, 'service/api');
  await page.locator('.entries .badge', { hasText: 'restarting' }).first().waitFor();
  await page.locator('.timeline span').first().waitFor();
  const told = await status('api');
  await page.getByRole('region', { name: 'Processes' }).getByText(`${told.pid} (main)`).waitFor();
  await page.getByRole('region', { name: 'Runs' }).getByText('by signal 9').waitFor();
  await page.getByRole('region', { name: 'Declaration' }).getByText('stop-grace').waitFor();
  await page.locator('.charts canvas').first().waitFor();

  // What a worker says of itself, and its log: it is followed, searched, held and saved.
  await view(page, stage.base, 'service/scraper');
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
  await view(page, stage.base, 'ports');
  await page.locator('tbody .badge[data-tone=good]', { hasText: 'api' }).waitFor();
  await page.locator('tbody .badge[data-tone=bad]').waitFor();

  // The history, by service and by kind.
  await view(page, stage.base, 'history');
  await page.getByLabel('Service', { exact: true }).fill('api');
  await page.keyboard.press('Enter');
  await page.getByLabel('Kind').selectOption('restarting');
  await page.waitForFunction(() => document.querySelectorAll('.entries tbody tr').length === 1);

  // Schedules: a run now, another interval, a pause, hours by order.
  await page.keyboard.press('Escape');
  await view(page, stage.base, 'schedules');
  await page.getByRole('button', { name: 'Run now scan' }).click();
  await page.locator('.toast', { hasText: 'scan' }).waitFor();
  // What changes while a button is pressed does not take the press away.
  await page.getByRole('button', { name: 'Interval scan' }).hover();
  await page.mouse.down();
  await soloist('schedule', 'pause', 'scan');
  await page.getByRole('button', { name: 'Resume scan' }).waitFor();
  await page.mouse.up();
  await dialog.getByRole('button', { name: 'Cancel' }).click();
  await soloist('schedule', 'resume', 'scan');
  await page.getByRole('button', { name: 'Pause scan' }).waitFor();
  await page.getByRole('button', { name: 'Interval scan' }).click();
  await page.getByLabel('Every').fill('2h');
  await dialog.getByRole('button', { name: 'Change' }).click();
  await page.locator('li', { hasText: 'every 2h' }).first().waitFor();
  must((await status('scan')).schedule.triggers[0] === 'every 2h', 'the interval of scan');
  await page.getByRole('button', { name: 'Interval scan' }).click();
  await page.getByLabel('Every').fill('soon');
  await dialog.getByRole('button', { name: 'Change' }).click();
  await page.locator('.toast.bad', { hasText: 'soon' }).getByRole('button').click();
  await page.getByRole('button', { name: 'Pause scan' }).click();
  await page.getByRole('button', { name: 'Resume scan' }).click();
  await page.getByRole('button', { name: 'Pause scan' }).waitFor();
  await page.getByRole('button', { name: 'Open or close hours' }).click();
  await barriers(page, 'a form');
  await page.getByLabel('Window or calendar').fill('never');
  await dialog.getByRole('button', { name: 'Order it' }).click();
  await page.locator('.overrides', { hasText: 'never is open' }).waitFor();
  await page.getByRole('button', { name: 'Take back never' }).click();
  await page.getByText('All windows keep their hours.').waitFor();
  must((await page.locator('.axis .session').count()) > 0, 'no session on the axis');

  // The daemon is killed and another one comes: the loss is shown, and what happened meanwhile is caught up.
  await view(page, stage.base, '');
  await shows('api', 'ready');
  stage.isAway = true;
  // It may be back in a moment: whether it is shown is told from within.
  const lost = page.evaluate(() => new Promise((resolve) => {
    const banner = document.getElementById('lost');
    new MutationObserver(() => banner.hidden || resolve([document.getElementById('link').dataset.link, banner.textContent])).observe(banner, { attributes: true });
  }));
  const old = JSON.parse((await soloist('status', '--json')).stdout).daemon.pid;
  process.kill(old, 'SIGKILL');
  const [link, banner] = await lost;
  must(link === 'lost' && banner.includes('lost'), `${link}: ${banner}`);
  await soloist('stop', 'scraper');
  await page.locator('#link[data-link=live]').waitFor();
  await shows('scraper', 'stopped');
  must(await page.locator('#lost').isHidden(), 'the banner after the connection came back');
  stage.isAway = false;

  // Every view, in both themes, wide and narrow: it fits, and keeps nobody out.
  for (const theme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme: theme, reducedMotion: 'reduce' });
    for (const [width, height] of [[3840, 2160], [1440, 900], [375, 812], [320, 568]]) {
      await page.setViewportSize({ width, height });
      for (const where of ['', 'service/scraper', 'schedules', 'ports', 'history']) {
        await view(page, stage.base, where);
        if (where === 'service/scraper') await page.locator('.lines > div').first().waitFor();
        await fits(page, `#/${where}, ${theme}, ${width} px`);
        await barriers(page, `#/${where}, ${theme}, ${width} px`);
      }
    }
  }
  await view(page, stage.base, '');
  must((await page.evaluate(() => getComputedStyle(document.querySelector('.badge')).transitionDuration)) === '0s', 'something moves');
  const ground = await page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  must(ground === 'rgb(16, 21, 27)', `the ground in the dark: ${ground}`);
  await page.locator('#theme').click();
  must((await page.evaluate(() => document.documentElement.dataset.theme)) === 'light', 'the switch');
});
