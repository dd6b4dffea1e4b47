#!/usr/bin/env bash
# Runs a command as root, with this user's programs and Rust toolchain: as-root.sh COMMAND [ARGUMENT…]
set -euo pipefail
[ "$(id -u)" != 0 ] || exec "$@"
# sudo would replace PATH.
exec sudo --preserve-env env "HOME=$HOME" "PATH=$PATH" "$@"
