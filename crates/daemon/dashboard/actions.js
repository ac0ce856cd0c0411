// What a person can order: start, stop, restart, reload, run now. What takes something away from others is asked for
// twice; what the daemon refuses is shown with its reason.

import { askFor, say, sayRefusal } from './dialogs.js';
import { el } from './dom.js';
import { path, post } from './net.js';
import { known } from './store.js';

const isUp = (service) => service.wanted === 'up';

/** Every action: its sign, when it makes sense, what it asks first, and how it is ordered. */
const ACTIONS = [
  {
    word: 'Start', sign: '▶',
    fits: (service) => !isUp(service) || service.state === 'failed',
    order: (name) => post(`/api/v1/services/${path(name)}/start`),
  },
  {
    word: 'Run now', sign: '▷',
    fits: (service) => service.schedule?.triggers.length > 0,
    asks: ({ schedule }) => {
      if (schedule.paused) return 'It is paused. This one run happens all the same.';
      if (schedule.open === false) return `${schedule.window} is closed. This one run happens all the same.`;
      return null;
    },
    order: (name) => post(`/api/v1/schedules/${path(name)}/run`),
  },
  {
    word: 'Restart', sign: '↻',
    fits: isUp,
    asks: (service) => (service.pid ? 'Its process tree ends and a new run starts. Who is connected is cut off.' : null),
    order: (name) => post(`/api/v1/services/${path(name)}/restart`),
  },
  {
    word: 'Stop', sign: '■', isGrave: true,
    fits: (service) => isUp(service) || service.pid,
    asks: () => 'Its process tree ends, and it stays down until somebody starts it. What needs it stops first.',
    order: (name) => post(`/api/v1/services/${path(name)}/stop`),
  },
];

/** Buttons for one service; `update(service)` shows those that make sense now. */
export function actionButtons(isWordy) {
  let name = '';
  const buttons = ACTIONS.map((action) => {
    const press = () => perform(action, known.services.get(name), button);
    const button = el('button', { type: 'button', class: isWordy ? '' : 'icon', on: { click: press } },
      el('span', { 'aria-hidden': 'true' }, action.sign), isWordy ? ` ${action.word}` : null);
    return button;
  });
  const node = el('div', { class: 'actions' }, buttons);
  return {
    node,
    update(service) {
      const isOther = name !== service.name;
      name = service.name;
      ACTIONS.forEach((action, at) => {
        const button = buttons[at];
        button.hidden = !action.fits(service);
        if (!isOther) return;
        button.setAttribute('aria-label', `${action.word} ${name}`);
        button.title = `${action.word} ${name}`;
      });
    },
  };
}

async function perform(action, service, button) {
  if (!service) return;
  const words = action.asks?.(service);
  const title = `${action.word} ${service.name}`;
  if (words && !(await askFor({ title: `${title}?`, words, yes: action.word, isGrave: action.isGrave }))) return;
  button.setAttribute('aria-busy', 'true');
  button.disabled = true;
  try {
    const told = await action.order(service.name);
    say(told.text ?? `${title}: ${told.state ?? 'done'}`);
  } catch (error) {
    sayRefusal(`${title} was refused`, error);
  } finally {
    button.removeAttribute('aria-busy');
    button.disabled = false;
  }
}
