// The page of 1,000 services, twenty of which change every second: when it is painted, how long it ever keeps its thread
// busy, and that only what is seen is in the document. Prints what it measured as JSON.

import { longestTask, must, play, trace } from './stage.mjs';

/** It takes about an eighth of that. */
const LONGEST_MS = 200;

await play(async ({ page }) => {
  await trace(page);
  await page.reload();
  await page.getByText('s000', { exact: true }).or(page.getByText('j00', { exact: true })).first().waitFor();
  const painted = await page.evaluate(() => ({
    first: performance.getEntriesByName('first-contentful-paint')[0].startTime,
    rows: performance.now(),
  }));
  must((await page.locator('.table').getAttribute('aria-rowcount')) === '1001', 'the count of rows');

  // Through the whole list and back, frame by frame, while the jobs come and go.
  const frames = await page.evaluate(async () => {
    const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
    const took = [];
    const height = document.documentElement.scrollHeight;
    for (let step = 0; step <= 200; step += 1) {
      const begin = performance.now();
      scrollTo(0, (height * (step <= 100 ? step : 200 - step)) / 100);
      await frame();
      took.push(performance.now() - begin);
    }
    took.sort((a, b) => a - b);
    return { p50: took[100], p99: took[198], most: took[200] };
  });
  await page.getByRole('searchbox').pressSequentially('s97', { delay: 10 });
  await page.waitForFunction(() => document.querySelectorAll('.rows .row').length === 10);
  await page.getByRole('searchbox').fill('');
  for (const column of ['State', 'Next', 'Name']) await page.getByRole('columnheader', { name: column }).getByRole('button').click();
  await page.keyboard.press('End');
  await page.waitForFunction(() => document.querySelectorAll('.rows .row').length > 10);
  const rows = await page.locator('.rows .row').count();
  must(rows < 100, `${rows} rows in the document`);
  const longest = await longestTask(page);
  console.log(JSON.stringify({ first_paint_ms: painted.first, rows_painted_ms: painted.rows, longest_task_cpu_ms: longest, scroll_frame_ms: frames, rows_in_document: rows }));
  must(longest < LONGEST_MS, `the longest task took ${longest} ms`);
});
