#!/usr/bin/env bash
# Updates the package lists, compiles and runs a program in four containers of foreign Debians. Emulators must be registered.
set -euo pipefail
own=$(docker version --format '{{.Server.Arch}}')
for architecture in amd64 arm64 ppc64le riscv64 s390x; do
  [ "$architecture" != "$own" ] || continue
  # On an arm64 machine, amd64 is the fourth.
  [ "$architecture" != amd64 ] || [ "$own" = arm64 ] || continue
  echo "== $architecture"
  docker run --rm --interactive --platform "linux/$architecture" "${SMOKE_BASE:-docker.io/library/debian:trixie}" sh -eu <<'EOF'
apt-get -q update
apt-get -q install --yes --no-install-recommends gcc libc6-dev
printf '#include <stdio.h>\nint main(void) { return puts("compiled") < 0; }\n' | gcc -x c -o /tmp/program -
test "$(/tmp/program)" = compiled
uname -m
EOF
done
