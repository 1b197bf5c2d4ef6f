// As little of WASI Preview 1 as a packed module needs of its host, for JavaScript
// without one: arguments, environment, clock, random bytes, stdin, stdout, stderr,
// waiting and exit. There are no files. What else a module imports answers NOSYS.

const SUCCESS = 0, BADF = 8, NOSYS = 52, SPIPE = 70;
const CHARACTER_DEVICE = 2;
const CLOCK = 0, ABSOLUTE = 1;
const SUBSCRIPTION = 48, EVENT = 32;

class Exit extends Error {
    constructor(code) {
        super(`exit ${code}`);
        this.code = code;
    }
}

// The time of the real clock, 0, or of a monotonic one.
function nanoseconds(clock) {
    return BigInt(Math.round((clock === 0 ? Date.now() : performance.now()) * 1e6));
}

// What an instance is given, and what it writes.
class Host {
    constructor({ args, env, stdin }) {
        this.args = args;
        this.env = Object.entries(env).map(([name, value]) => `${name}=${value}`);
        this.stdin = new TextEncoder().encode(stdin);
        this.written = [null, [], []];
    }

    // A memory that grows leaves its old buffer behind, so it is asked for each time.
    get view() {
        return new DataView(this.memory.buffer);
    }

    bytes(at, length) {
        return new Uint8Array(this.memory.buffer, at, length);
    }

    buffers(at, count) {
        const view = this.view;
        return Array.from({ length: count }, (_, i) =>
            this.bytes(view.getUint32(at + 8 * i, true), view.getUint32(at + 8 * i + 4, true)));
    }

    text(fd) {
        return new Blob(this.written[fd]).text();
    }

    sizes(list, count, size) {
        const bytes = new TextEncoder().encode(list.map((text) => `${text}\0`).join(""));
        this.view.setUint32(count, list.length, true);
        this.view.setUint32(size, bytes.length, true);
        return SUCCESS;
    }

    strings(list, pointers, at) {
        for (const text of list) {
            const bytes = new TextEncoder().encode(`${text}\0`);
            this.view.setUint32(pointers, at, true);
            this.bytes(at, bytes.length).set(bytes);
            pointers += 4;
            at += bytes.length;
        }
        return SUCCESS;
    }

    calls() {
        const host = this;
        const stream = (fd) => (fd <= 2 ? SPIPE : BADF);
        return {
            args_sizes_get: (count, size) => host.sizes(host.args, count, size),
            args_get: (pointers, at) => host.strings(host.args, pointers, at),
            environ_sizes_get: (count, size) => host.sizes(host.env, count, size),
            environ_get: (pointers, at) => host.strings(host.env, pointers, at),
            clock_res_get(_clock, result) {
                host.view.setBigUint64(result, 1000n, true);
                return SUCCESS;
            },
            clock_time_get(clock, _precision, result) {
                host.view.setBigUint64(result, nanoseconds(clock), true);
                return SUCCESS;
            },
            random_get(at, length) {
                // As many at once as there may be.
                for (let done = 0; done < length; done += 65536) {
                    const some = new Uint8Array(Math.min(65536, length - done));
                    host.bytes(at + done, some.length).set(crypto.getRandomValues(some));
                }
                return SUCCESS;
            },
            sched_yield: () => SUCCESS,
            // Streams are always ready. A page can wait for a clock only by looking at it.
            poll_oneoff(subscriptions, events, count, result) {
                const view = host.view;
                const begun = nanoseconds(1);
                const asked = Array.from({ length: count }, (_, i) => {
                    const at = subscriptions + SUBSCRIPTION * i;
                    const kind = view.getUint8(at + 8);
                    const clock = view.getUint32(at + 16, true);
                    const timeout = view.getBigUint64(at + 24, true);
                    const past = view.getUint16(at + 40, true) & ABSOLUTE ? nanoseconds(clock) : 0n;
                    const due = kind === CLOCK ? begun + timeout - past : begun;
                    return { user: view.getBigUint64(at, true), kind, due };
                });
                const first = asked.reduce((a, b) => (b.due < a ? b.due : a), asked[0].due);
                while (nanoseconds(1) < first);
                const now = nanoseconds(1);
                const ready = asked.filter(({ due }) => due <= now);
                ready.forEach(({ user, kind }, i) => {
                    const at = events + EVENT * i;
                    host.bytes(at, EVENT).fill(0);
                    view.setBigUint64(at, user, true);
                    view.setUint8(at + 10, kind);
                });
                view.setUint32(result, ready.length, true);
                return SUCCESS;
            },
            proc_exit(code) {
                throw new Exit(code);
            },
            fd_close: (fd) => (fd <= 2 ? SUCCESS : BADF),
            fd_seek: stream,
            fd_tell: stream,
            fd_fdstat_set_flags: (fd) => (fd <= 2 ? SUCCESS : BADF),
            fd_prestat_get: () => BADF,
            fd_fdstat_get(fd, result) {
                if (fd > 2) return BADF;
                host.bytes(result, 24).fill(0);
                host.view.setUint8(result, CHARACTER_DEVICE);
                // All rights but those to seek and tell: so libc sees a terminal.
                host.view.setBigUint64(result + 8, ~0x24n & 0x1fffffffn, true);
                return SUCCESS;
            },
            fd_read(fd, buffers, count, result) {
                if (fd !== 0) return BADF;
                let read = 0;
                for (const buffer of host.buffers(buffers, count)) {
                    const some = host.stdin.subarray(0, buffer.length);
                    buffer.set(some);
                    host.stdin = host.stdin.subarray(some.length);
                    read += some.length;
                }
                host.view.setUint32(result, read, true);
                return SUCCESS;
            },
            fd_write(fd, buffers, count, result) {
                if (fd !== 1 && fd !== 2) return BADF;
                const written = host.buffers(buffers, count).map((buffer) => buffer.slice());
                host.written[fd].push(...written);
                const length = written.reduce((all, buffer) => all + buffer.length, 0);
                host.view.setUint32(result, length, true);
                return SUCCESS;
            },
        };
    }
}

// Runs a command, or a reactor's `exports` one after the other, and answers what it
// wrote and its exit code. An error, of the engine too, is a line on stderr and 134.
export async function run(wasm, { args, env, stdin, exports }) {
    const host = new Host({ args, env, stdin });
    let code = 0;
    try {
        const module = await WebAssembly.compile(wasm);
        const imports = {};
        for (const { module: from, name, kind } of WebAssembly.Module.imports(module)) {
            if (kind === "function") (imports[from] ??= {})[name] = () => NOSYS;
        }
        Object.assign((imports.wasi_snapshot_preview1 ??= {}), host.calls());
        const instance = await WebAssembly.instantiate(module, imports);
        host.memory = instance.exports.memory;
        if (exports === undefined) {
            instance.exports._start();
        } else {
            instance.exports._initialize?.();
            for (const name of exports) {
                const line = new TextEncoder().encode(`${instance.exports[name]()}\n`);
                host.written[1].push(line);
            }
        }
    } catch (error) {
        if (error instanceof Exit) {
            code = error.code;
        } else {
            code = 134;
            host.written[2].push(new TextEncoder().encode(`${error}\n`));
        }
    }
    return { code, stdout: await host.text(1), stderr: await host.text(2) };
}
