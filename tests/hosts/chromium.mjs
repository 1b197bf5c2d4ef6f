// Runs a module in a page of Chromium, which has no WASI of its own, on shim.mjs.
//
//   node chromium.mjs MODULE [ARGS…]           a command; exits with its code
//   node chromium.mjs MODULE --invoke EXPORTS  a reactor: calls each of the
//                                              comma-separated exports, prints results
//
// CHROMIUM names the browser. It talks to nobody but the server in here.
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { argv, env, exit, stderr, stdin, stdout } from "node:process";
import { text } from "node:stream/consumers";

const LONGEST = 300_000;
const PAGE = `<!doctype html><title>monaka</title><script type="module">
    const get = (path) => fetch(path);
    let left;
    try {
        const { run } = await import("/shim.mjs");
        const [module, setup] = await Promise.all([get("/module"), get("/setup")]);
        left = await run(await module.arrayBuffer(), await setup.json());
    } catch (error) {
        left = { code: 134, stdout: "", stderr: String(error) + "\\n" };
    }
    await fetch("/left", { method: "POST", body: JSON.stringify(left) });
</script>`;

const [path, ...args] = argv.slice(2);
const setup = {
    args: [basename(path), ...args],
    env: { MONAKA_DUMP: "1", GREETING: "hello" },
    stdin: await text(stdin),
    exports: args[0] === "--invoke" ? args[1].split(",") : undefined,
};
const served = {
    "/": ["text/html", PAGE],
    "/shim.mjs": ["text/javascript", await readFile(new URL("shim.mjs", import.meta.url))],
    "/module": ["application/wasm", await readFile(path)],
    "/setup": ["application/json", JSON.stringify(setup)],
};

const profile = await mkdtemp(join(tmpdir(), "monaka-chromium-"));
let browser;
const left = await new Promise((resolve, reject) => {
    const server = createServer(async (request, response) => {
        if (request.method === "POST") {
            resolve(JSON.parse(await text(request)));
            response.end();
            return;
        }
        const [type, body] = served[request.url] ?? ["text/plain", ""];
        response.writeHead(served[request.url] ? 200 : 404, { "content-type": type }).end(body);
    });
    server.listen(0, "127.0.0.1", () => {
        const page = `http://127.0.0.1:${server.address().port}/`;
        const flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
            "--no-first-run", "--disable-background-networking", "--disable-component-update",
            "--disable-sync", "--disable-dev-shm-usage", `--user-data-dir=${profile}`];
        browser = spawn(env.CHROMIUM ?? "chromium", [...flags, page], { stdio: "ignore" });
        browser.on("error", reject);
        browser.on("exit", (code) => reject(new Error(`Chromium ended with ${code}`)));
    });
    setTimeout(() => reject(new Error(`nothing came back in ${LONGEST / 1000} s`)), LONGEST);
}).catch((error) => ({ code: 135, stdout: "", stderr: `chromium.mjs: ${error.message}\n` }));

if (browser?.exitCode === null) {
    const ended = new Promise((resolve) => browser.on("exit", resolve));
    browser.kill("SIGKILL");
    await ended;
}
await rm(profile, { recursive: true, force: true, maxRetries: 20 });
stdout.write(left.stdout);
stderr.write(left.stderr, () => exit(left.code));
