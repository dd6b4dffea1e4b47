#!/usr/bin/env bash
# Tags a pushed image: QEMU-N, which is never moved, QEMU, and latest: tag.sh REPOSITORY@DIGEST SUFFIX
# With a suffix such as -common the tags are QEMU-N-common, QEMU-common and common.
set -euo pipefail
image=$1 suffix=$2
repository=${image%@*} digest=${image#*@}
version=$(skopeo inspect --raw "docker://$image" | jq -er '.annotations["org.opencontainers.image.version"]')
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT

# The first number that is free or has this image already. A registry that does not answer must not look like a free one.
number=1
while true; do
  tag=$version-$number$suffix
  if skopeo inspect --raw "docker://$repository:$tag" >"$folder/manifest" 2>"$folder/error"; then
    [ "sha256:$(sha256sum <"$folder/manifest" | cut -d ' ' -f 1)" != "$digest" ] || break
  elif grep --quiet --ignore-case 'manifest unknown' "$folder/error"; then
    break
  else
    cat "$folder/error" >&2
    exit 1
  fi
  number=$((number + 1))
done

moving=latest
[ -z "$suffix" ] || moving=${suffix#-}
for name in "$tag" "$version$suffix" "$moving"; do
  skopeo copy --quiet --all --preserve-digests "docker://$image" "docker://$repository:$name"
  echo "$repository:$name is $digest"
done
