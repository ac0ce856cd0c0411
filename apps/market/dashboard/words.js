// Numbers and moments in words. Moments are told in the time of the exchange in Mumbai, wherever the browser is.

import { span } from './plain.js';

export { span };

/** An age: nobody asks how many milliseconds. */
export const seconds = (ms) => (ms < 1000 ? '0 s' : span(ms));

const ZONE = 'Asia/Kolkata';
const day = new Intl.DateTimeFormat('en-IN', { weekday: 'short', day: 'numeric', month: 'short', timeZone: ZONE });
const time = new Intl.DateTimeFormat('en-IN', { hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: false, timeZone: ZONE });
const short = new Intl.NumberFormat('en', { notation: 'compact', maximumSignificantDigits: 4 });
const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const fine = new Intl.NumberFormat('en', { minimumFractionDigits: 2, maximumFractionDigits: 2 });

/** Time of day; with the day if that is not today. */
export function moment(at) {
  const date = new Date(at ?? Number.NaN);
  if (Number.isNaN(date.getTime())) return '';
  return day.format(date) === day.format(new Date()) ? time.format(date) : `${day.format(date)} ${time.format(date)}`;
}

export const clock = (at) => `${day.format(at)}, ${time.format(at)} IST`;

const worded = (format) => (value) => (value === null || value === undefined ? '' : format.format(value));
export const compact = worded(short);
export const count = worded(whole);
export const decimal = worded(fine);

/** With its sign, also if it is above zero. */
export const signed = (words, value) => (value > 0 ? `+${words}` : words);

/** Red below zero, green above. */
export function toneOf(value) {
  if (!value) return 'off';
  return value < 0 ? 'bad' : 'good';
}
