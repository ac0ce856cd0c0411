// A worker beside web.js: it listens on nothing.
setInterval(() => {}, 1000);
