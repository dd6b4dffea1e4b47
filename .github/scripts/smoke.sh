#!/usr/bin/env bash
# Updates the package lists, compiles and runs a program in containers of foreign Debians, four by default. Emulators must be registered.
# The environment may name another image, other architectures, and more options of `docker run`.
set -euo pipefail
base=${SMOKE_BASE:-docker.io/library/debian:trixie}
read -ra architectures <<<"${SMOKE_ARCHITECTURES:-amd64 arm64 ppc64le riscv64 s390x}"
read -ra options <<<"${SMOKE_OPTIONS:-}"
own=$(docker version --format '{{.Server.Arch}}')
for architecture in "${architectures[@]}"; do
  [ "$architecture" != "$own" ] || continue
  # On an arm64 machine, amd64 is the fourth.
  [ "$architecture" != amd64 ] || [ "$own" = arm64 ] || continue
  echo "== $architecture"
  docker run --rm --interactive --platform "linux/$architecture" "${options[@]}" "$base" sh -eu <<'SCRIPT'
apt-get -q update
apt-get -q install --yes --no-install-recommends gcc libc6-dev
printf '#include <stdio.h>\nint main(void) { return puts("compiled") < 0; }\n' | gcc -x c -o /tmp/program -
test "$(/tmp/program)" = compiled
uname -m
SCRIPT
done
