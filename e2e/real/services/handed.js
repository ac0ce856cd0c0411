// An HTTP server on the socket that it is handed, else on $PORT.
const http = require("node:http");

const isHanded = Number(process.env.LISTEN_PID) === process.pid && Number(process.env.LISTEN_FDS) > 0;
const server = http.createServer((_, response) => response.end(`pid ${process.pid}`));
server.listen(isHanded ? { fd: 3 } : { host: "127.0.0.1", port: Number(process.env.PORT) });
process.on("SIGTERM", () => server.close());
