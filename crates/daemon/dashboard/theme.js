// Light or dark: what the person chose last, else what the system prefers. Not a module: it must run before the first
// paint, or a dark page would flash white.
(() => {
  const root = document.documentElement;
  let chosen = null;
  try {
    chosen = localStorage.getItem('theme');
  } catch {
    // Storage may be forbidden; then the choice lasts as long as the page.
  }
  const prefersDark = matchMedia('(prefers-color-scheme: dark)');
  const apply = () => { root.dataset.theme = chosen ?? (prefersDark.matches ? 'dark' : 'light'); };
  apply();
  prefersDark.addEventListener('change', apply);
  addEventListener('DOMContentLoaded', () => {
    document.getElementById('theme').addEventListener('click', () => {
      chosen = root.dataset.theme === 'dark' ? 'light' : 'dark';
      try {
        localStorage.setItem('theme', chosen);
      } catch {
        // As above.
      }
      apply();
      dispatchEvent(new Event('theme'));
    });
  });
})();
