// What the programs beside this file stand on: a browser, the page of a project's daemon, and what must be true of it all
// the time: no error on its console, no request to another host. The test that runs them gives all by environment.

import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { promisify } from 'node:util';

const given = process.env;
const load = createRequire(join(given.E2E_BROWSER, 'package.json'));
const { chromium } = load('playwright-core');

/** Every wait has this end, and its message what was seen last. */
export const LIMIT = 60_000;

/** Runs a command of soloist in the project's folder. */
export const soloist = (...words) => promisify(execFile)(given.SOLOIST, words, { cwd: given.PROJECT });

/**
 * Opens a page in a new browser, lets `act` work with it, and then checks what must be true all the time. Without the
 * address of a `page` it is soloist's own, as a person comes in: by the link that becomes a cookie.
 */
export async function play(act, { page: known, ...options } = {}) {
  const link = known ?? (await soloist('open', '--print')).stdout.trim();
  const base = new URL(link).origin;
  // As root a browser has no sandbox; it sees nothing but our own page.
  const browser = await chromium.launch({ executablePath: given.CHROMIUM, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
  const wrong = [];
  try {
    const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options });
    context.setDefaultTimeout(LIMIT);
    const page = await context.newPage();
    const stage = { page, context, base, isAway: false, refusals: [] };
    page.on('console', (message) => {
      // The browser itself tells of every refusal, wanted or not, and of connections that fail while the daemon is away.
      const { url } = message.location();
      const isMeant = message.text().startsWith('Failed to load resource') && (stage.isAway || stage.refusals.some((one) => one.test(url)));
      if (message.type() === 'error' && !isMeant) wrong.push(`console: ${message.text()} ${url}`);
    });
    page.on('pageerror', (error) => wrong.push(`error: ${error.stack}`));
    page.on('request', (request) => {
      if (!request.url().startsWith(`${base}/`) && !request.url().startsWith('data:')) wrong.push(`foreign request: ${request.url()}`);
    });
    try {
      await page.goto(link);
      await page.locator('#link[data-link=live]').waitFor();
      await act(stage);
    } catch (error) {
      // What the page complained of is often the reason.
      throw new Error(`${error.stack}\n${wrong.join('\n')}\nshown: ${(await page.locator('body').innerText()).slice(0, 2000)}`);
    }
  } finally {
    await browser.close();
  }
  must(wrong.length === 0, wrong.join('\n'));
}

const TITLES = { '': 'Services', schedules: 'Schedules', ports: 'Ports', history: 'History' };
const CONTENTS = { '': '.rows .row', schedules: '.schedules li', ports: 'tbody tr', history: 'tbody tr' };

/** Goes to a view, and returns when it is the one that is shown, with what it had to ask for. */
export async function view(page, base, where) {
  await page.goto(`${base}/#/${where}`);
  // Until the page hears of its new address, the view before is in the document, and much in it looks alike.
  const name = TITLES[where] ?? where.split('/').pop();
  await page.getByRole('heading', { level: 1, name, exact: true }).waitFor();
  if (where in CONTENTS) await page.locator(CONTENTS[where]).first().waitFor();
  else await page.locator('.why', { hasText: /\w/ }).waitFor();
}

export function must(isTrue, words) {
  if (!isTrue) throw new Error(words);
}

const browserOf = (page) => page.context().browser();

/** Notes from now on what the browser does, until `longestTask` is asked. */
export const trace = (page) => browserOf(page).startTracing(page, { categories: ['toplevel', 'disabled-by-default-devtools.timeline'] });

/** The longest task of the page's thread since `trace`, in ms of processor time: what else the machine does is not its fault. */
export async function longestTask(page) {
  const events = JSON.parse(await browserOf(page).stopTracing()).traceEvents;
  const main = events.find((one) => one.name === 'thread_name' && one.args.name === 'CrRendererMain');
  const tasks = events.filter((one) => one.pid === main.pid && one.tid === main.tid && one.name.endsWith('RunTask') && one.tdur >= 0);
  must(tasks.length > 100, `only ${tasks.length} tasks in the trace`);
  return Math.max(...tasks.map((one) => one.tdur)) / 1000;
}

/** Serious findings of axe-core on what is shown now. */
export async function barriers(page, where) {
  // By the protocol and not by a script element, which the page's policy forbids.
  await page.evaluate(load('axe-core').source);
  const found = await page.evaluate(async () => (await globalThis.axe.run(document)).violations.map(({ id, impact, nodes }) => ({ id, impact, nodes: nodes.map((node) => `${node.html} ${node.failureSummary}`) })));
  const serious = found.filter(({ impact }) => impact === 'serious' || impact === 'critical');
  must(serious.length === 0, `axe-core on ${where}: ${JSON.stringify(serious, null, 1)}`);
}

/** The page is no wider than the window. */
export async function fits(page, where) {
  const [whole, seen] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  must(whole <= seen, `${where} is ${whole} px wide in a window of ${seen}`);
}

/** Waits until `check()` gives something, and gives that. */
export async function until(check, what) {
  const end = Date.now() + LIMIT;
  for (;;) {
    const found = await check();
    if (found) return found;
    must(Date.now() < end, `${what} did not come within ${LIMIT} ms`);
    await new Promise((resolve) => { setTimeout(resolve, 20); });
  }
}
