#!/usr/bin/env bash
# Makes the image of fetch.lock's packages in FOLDER/image, an OCI layout, and beside it the SBOM and the list of emulators of each
# host: build-image.sh whole|SET FOLDER. SET is a name that --target takes; HOSTS, FETCH and
# COMPRESSION, options of `cargo xtask image`, come from the environment.
set -euo pipefail
set=$1 folder=$2
targets=()
[ "$set" = whole ] || targets=(--target "$set")
read -ra fetch <<<"${FETCH:-}"
read -ra compression <<<"${COMPRESSION:---release}"
cargo xtask fetch-and-build --locked --strict --host "$HOSTS" "${targets[@]}" "${fetch[@]}" --out "$folder/dist"
cargo xtask image "${compression[@]}" --host "$HOSTS" "${targets[@]}" --dist "$folder/dist" --out "$folder/image"
for host in ${HOSTS//,/ }; do
  cargo xtask inspect --host "$host" --out "$folder/dist" >"$folder/$host.emulators"
  cp "$folder/dist/$host/sbom.spdx.json" "$folder/$host.spdx.json"
done
rm -r "$folder/dist"
