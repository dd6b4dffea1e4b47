#!/usr/bin/env bash
# Commits a changed fetch.lock on the branch update-packages, and prints "title=TITLE"; prints nothing if it is unchanged.
# The message is what `cargo xtask update` has said: commit-lock.sh FILE
set -euo pipefail
changes=$1
[ -n "$(git status --porcelain -- fetch.lock)" ] || exit 0
title=$(grep --max-count=1 '^QEMU ' "$changes" || echo 'Newer builds of the same QEMU')
git switch --quiet --force-create update-packages
git add fetch.lock
git -c user.name=update -c user.email=update@users.noreply.github.com commit --quiet --file=- <<<"$title

$(cat "$changes")"
echo "title=$title"
