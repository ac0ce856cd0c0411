// The course of a figure in a table: a line without axes. Its last value stands beside it in words.

import { svg } from './dom.js';

const WIDTH = 72;
const HEIGHT = 20;

export function sparkline() {
  const line = svg('polyline', { fill: 'none' });
  const picture = svg('svg', { class: 'spark', viewBox: `0 0 ${WIDTH} ${HEIGHT}`, 'aria-hidden': 'true' }, line);
  return {
    picture,
    /** At least `floor` is the top, so that a quiet service looks quiet. */
    draw(values, floor) {
      const few = values.slice(-60);
      const top = Math.max(floor, ...few);
      const step = WIDTH / 59;
      const from = 60 - few.length;
      const points = few.map((value, at) => {
        const y = HEIGHT - 1 - (value / top) * (HEIGHT - 2);
        return `${((from + at) * step).toFixed(1)},${y.toFixed(1)}`;
      });
      line.setAttribute('points', points.join(' '));
    },
  };
}
