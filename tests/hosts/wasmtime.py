"""Runs a module on the wasmtime of PyPI without any directory.

python wasmtime.py MODULE [ARGS...]           a command; exits with its code
python wasmtime.py MODULE --invoke EXPORTS    a reactor: calls each of the
                                              comma-separated exports, prints results
"""

import os
import sys

# Not this directory, where a file has the package's name.
sys.path[0] = os.environ["MONAKA_PYTHON"]

from wasmtime import Engine, ExitTrap, Linker, Module, Store, WasiConfig

path, args = sys.argv[1], sys.argv[2:]
engine = Engine()
linker = Linker(engine)
linker.define_wasi()
store = Store(engine)
wasi = WasiConfig()
wasi.argv = [os.path.basename(path), *args]
wasi.env = [("MONAKA_DUMP", "1"), ("GREETING", "hello")]
wasi.inherit_stdin()
wasi.inherit_stdout()
wasi.inherit_stderr()
store.set_wasi(wasi)
exports = linker.instantiate(store, Module.from_file(engine, path)).exports(store)
if args[:1] == ["--invoke"]:
    if "_initialize" in exports:
        exports["_initialize"](store)
    for name in args[1].split(","):
        print(exports[name](store), flush=True)
else:
    try:
        exports["_start"](store)
    except ExitTrap as trap:
        sys.exit(trap.code)
