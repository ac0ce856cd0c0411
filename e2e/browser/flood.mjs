// A log that grows by ten thousand lines a second, followed: the end is reached, the page stays quick, and only what is
// seen is in the document. Prints what it measured as JSON.

import { longestTask, must, play, soloist, trace, view } from './stage.mjs';

const LONGEST_MS = 500;

await play(async ({ page, base }) => {
  await view(page, base, 'service/flood');
  await trace(page);
  await page.locator('.log').waitFor();
  const begin = Date.now();
  await soloist('start', 'flood');
  // It writes for five seconds; on a machine that does much else, for longer.
  await page.locator('.lines > div', { hasText: 'the end' }).waitFor({ timeout: 60_000 });
  const took = Date.now() - begin;
  const longest = await longestTask(page);
  const [rows, told] = await page.evaluate(() => [document.querySelectorAll('.lines > div').length, document.querySelector('.panel:has(.log) [role=status]').textContent]);
  console.log(JSON.stringify({ took_ms: took, longest_task_cpu_ms: longest, lines_in_document: rows, told }));
  must(rows < 150, `${rows} lines in the document`);
  must(longest < LONGEST_MS, `the longest task took ${longest} ms`);
});
