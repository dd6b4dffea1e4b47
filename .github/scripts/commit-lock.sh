#!/usr/bin/env bash
# Commits a changed fetch.lock on the branch update-packages, and prints "title=TITLE"; prints nothing if it is unchanged.
# The message is the output of `cargo xtask update`: commit-lock.sh FILE
set -euo pipefail
changes=$1
[ -n "$(git status --porcelain -- fetch.lock)" ] || exit 0
# Of the first host: "x86_64: QEMU 10.2.2 -> 11.1.3".
title=$(sed -n '/^[^ ]*: QEMU /{s/^[^ ]*: //p;q}' "$changes")
title=${title:-Newer builds of the same QEMU}
git switch --quiet --force-create update-packages
git add fetch.lock
git -c user.name=update -c user.email=update@users.noreply.github.com commit --quiet --file=- <<<"$title

$(cat "$changes")"
echo "title=$title"
