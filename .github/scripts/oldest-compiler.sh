#!/usr/bin/env bash
# Compiles the workspace with the oldest compiler that Cargo.toml allows, and its tests too.
set -euo pipefail
version=$(cargo metadata --format-version=1 --no-deps | jq -r '.packages[] | select(.name == "registrar").rust_version')
rustup toolchain install "$version" --profile minimal
cargo "+$version" check --locked --workspace --all-targets
