// The server of ws (see the README of the folder above).
const { readFileSync } = require("node:fs");
const http = require("node:http");
const https = require("node:https");
const { WebSocketServer } = require("ws");

const [port, certificate, key] = process.argv.slice(2);
const server = certificate
  ? https.createServer({ cert: readFileSync(certificate), key: readFileSync(key) })
  : http.createServer();
const sockets = new WebSocketServer({ server, maxPayload: 32 << 20, perMessageDeflate: true });

sockets.on("connection", (socket, request) => {
  socket.on("error", () => {});
  socket.on("message", (message, binary) => {
    if (request.url === "/close") socket.close(4001, "enough");
    else socket.send(message, { binary });
  });
});
server.listen(Number(port), "127.0.0.1");
