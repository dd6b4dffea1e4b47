#!/usr/bin/env bash
# Warns, as GitHub shows warnings, if Fedora's list of releases has a newer one than this source knows a key of.
set -euo pipefail
read -ra fetch <<<"${FETCH:-}"
messages=$(cargo xtask resolve --source fedora --refresh "${fetch[@]}" 2>&1 >/dev/null | tee /dev/stderr)
sed -n 's/^warning: \(Fedora [0-9]* is out.*\)/::warning title=new release of Fedora::\1; CONTRIBUTING.md says how to pin it/p' <<<"$messages"
