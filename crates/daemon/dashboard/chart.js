// The course of a figure with its axes: one uPlot, in the colours of the page.

/* global uPlot */
import { el } from './dom.js';
import { moment } from './words.js';

/** `format(value)` words the axis. Gives the element, and what draws and ends it. */
export function chart(title, format) {
  const place = el('div', { class: 'chart', role: 'img', 'aria-label': title });
  const node = el('figure', {}, el('figcaption', {}, title), place);
  let plot = null;
  let data = [[], []];

  function make() {
    plot?.destroy();
    const colours = getComputedStyle(document.documentElement);
    const ink = colours.getPropertyValue('--quiet').trim();
    const axis = { stroke: ink, grid: { stroke: colours.getPropertyValue('--line').trim(), width: 1 }, ticks: { show: false } };
    plot = new uPlot({
      width: Math.max(200, place.clientWidth),
      height: 140,
      legend: { show: false },
      cursor: { y: false },
      scales: { y: { range: (_, low, high) => [0, Math.max(high ?? 0, low ?? 0, 1) * 1.1] } },
      axes: [{ ...axis, space: 90, values: (_, ticks) => ticks.map((at) => moment(at * 1000)) }, { ...axis, size: 64, values: (_, ticks) => ticks.map(format) }],
      series: [{}, { stroke: colours.getPropertyValue('--accent').trim(), width: 2, points: { show: false } }],
    }, data, place);
  }

  const resize = new ResizeObserver(() => plot?.setSize({ width: Math.max(200, place.clientWidth), height: 140 }));
  resize.observe(place);
  addEventListener('theme', make);

  return {
    node,
    draw(at, values) {
      data = [at, values];
      if (!plot) make();
      else plot.setData(data);
      const last = values.at(-1);
      if (last !== undefined) place.setAttribute('aria-label', `${title}: now ${format(last)}`);
    },
    end() {
      resize.disconnect();
      removeEventListener('theme', make);
      plot?.destroy();
    },
  };
}
