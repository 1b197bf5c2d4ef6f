# shellcheck shell=bash disable=SC2034
# What the scripts in this directory share. Sourced by bash, never run.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=$root/.cache
script=tools/$(basename "$0")

# Ends the script: what is wrong, then hints at the way out.
die() {
    printf '%s: %s\n' "$script" "$1" >&2
    shift
    for hint in "$@"; do printf '  hint: %s\n' "$hint" >&2; done
    exit 1
}

say() { printf '%s: %s\n' "$script" "$*" >&2; }

have() { command -v "$1" >/dev/null 2>&1; }

# The newest version of clang here that has lld and the wasm libraries beside it.
newest_clang() {
    local version
    for version in $(compgen -c clang- | sed -n "s/^clang-\([0-9]*\)\$/\1/p" | sort -rnu); do
        if have "wasm-ld-$version" && have "llvm-ar-$version" &&
            [ -e "/usr/lib/llvm-$version/lib/wasm32-wasi/libc++.a" ] &&
            compgen -G "/usr/lib/llvm-$version/lib/clang/*/lib/wasi*/libclang_rt.builtins*" >/dev/null; then
            echo "$version"
            return
        fi
    done
    return 1
}

# The libc that a demonstration uses: the user's wasi-sdk, else the first here.
default_libc() {
    if [ -n "${WASI_SDK_PATH:-}" ]; then
        echo sdk
    else
        local here
        here=$("$root/tools/wasi-cc" --list)
        echo "${here%%$'\n'*}"
    fi
}
