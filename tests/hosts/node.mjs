// Runs a module under node:wasi without any directory, or with the one that
// $MONAKA_PREOPEN names as its root.
//
//   node node.mjs MODULE [ARGS…]          a command; exits with its code
//   node node.mjs MODULE --invoke EXPORTS  a reactor: calls each of the
//                                          comma-separated exports, prints results
import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import process, { argv, exit } from "node:process";
import { WASI } from "node:wasi";

// Deno has no flag for this: node:wasi is experimental, we know.
process.emitWarning = () => {};

const [path, ...args] = argv.slice(2);
const root = process.env.MONAKA_PREOPEN;
const wasi = new WASI({
    version: "preview1",
    args: [basename(path), ...args],
    env: { MONAKA_DUMP: "1", GREETING: "hello" },
    preopens: root === undefined ? {} : { "/": root },
    returnOnExit: true,
});
const module = await WebAssembly.compile(await readFile(path));
const imports = { wasi_snapshot_preview1: wasi.wasiImport };
const instance = await WebAssembly.instantiate(module, imports);
if (args[0] === "--invoke") {
    wasi.initialize(instance);
    for (const name of args[1].split(",")) console.log(instance.exports[name]());
} else {
    exit(wasi.start(instance));
}
