// An HTTP server on $PORT. It tells its version, which a test edits.
const http = require("node:http");

const VERSION = 1;
const server = http.createServer((_, response) => response.end(`version ${VERSION} pid ${process.pid}`));
server.listen(Number(process.env.PORT), "127.0.0.1");
