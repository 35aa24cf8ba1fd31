// The client of Node's ws: as client.luau, with a handler of on("message").
const WebSocket = require("ws");

const [url, , shape, ...rest] = process.argv.slice(2);
const [size, inFlight, connections, seconds] = rest.slice(0, 4).map(Number);
const text = rest[4] || "x".repeat(size);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Of several addresses of the server, so that ports do not run out.
function connect(number) {
  return new Promise((resolve, reject) => {
    const address = url.replace("127.0.0.1", `127.0.0.${1 + (number % 4)}`);
    const ws = new WebSocket(address, { perMessageDeflate: url.endsWith("/deflate"), maxPayload: 0 });
    ws.once("open", () => resolve(ws));
    ws.once("error", reject);
  });
}

// What runs `count` messages on one connection. Each text is made a string, as in the other clients.
function handling(ws) {
  let left = 0;
  let done = null;
  if (shape === "echo") {
    ws.on("message", (data) => {
      data.toString();
      left -= 1;
      if (left >= inFlight) ws.send(text);
      else if (left === 0) done();
    });
  } else {
    ws.on("message", (data) => {
      data.toString();
      left -= 1;
      if (left === 0) done();
    });
  }
  return async (count) => {
    const finished = new Promise((resolve) => (done = resolve));
    left = shape === "send" ? 1 : count;
    if (shape === "echo") {
      for (let i = 0; i < inFlight; i++) ws.send(text);
    } else if (shape === "flood") {
      ws.send(String(count));
    } else {
      // It has no back-pressure to await: the loop writes after so many bytes.
      const breath = Math.max(1, Math.floor(16384 / text.length));
      for (let at = 0; at < count; at += breath) {
        for (let i = at; i < Math.min(count, at + breath); i++) ws.send(text);
        await new Promise(setImmediate);
      }
      ws.send("end");
    }
    await finished;
  };
}

async function connectAndClose(count) {
  for (let number = 0; number < count; number++) {
    const ws = await connect(number);
    await new Promise((resolve) => {
      ws.once("close", resolve);
      ws.close();
    });
  }
}

async function main() {
  const sockets = [];
  if (shape === "idle" || shape === "rest") {
    sockets.push(await connect(0));
    console.log("begin");
    if (shape === "rest") return;
    await sleep(20);
    for (let at = 0; at < connections; at += 32) {
      const numbers = [...Array(Math.min(32, connections - at)).keys()];
      sockets.push(...(await Promise.all(numbers.map((number) => connect(at + number)))));
    }
    await sleep(1000);
    console.log("end", connections, 1);
    return;
  }
  let runs = [];
  if (shape === "connect") {
    runs = Array(inFlight).fill(connectAndClose);
  } else {
    for (let number = 0; number < connections; number++) runs.push(handling(await connect(number)));
  }
  const run =
    runs.length === 1 ? runs[0] : (count) => Promise.all(runs.map((one) => one(Math.floor(count / runs.length))));

  async function timed(count) {
    const begin = process.hrtime.bigint();
    await run(count);
    return Number(process.hrtime.bigint() - begin) / 1e9;
  }

  // As sample.py: counts grow until one takes a quarter of the sample, which is also the warm-up.
  const first = Math.max(64, connections > 1 ? 4 * connections : 0);
  let count = first;
  let took = await timed(count);
  while (took < seconds / 4) {
    count *= took > seconds / 16 ? 2 : 4;
    took = await timed(count);
  }
  count = Math.max(first, Math.round((count * seconds) / took));
  console.log("begin");
  await sleep(20);
  took = await timed(count);
  console.log("end", count, took);
}

main();
