#!/usr/bin/env bash
# Pushes the image of an OCI layout by its digest, without a tag, and prints the digest: push.sh FOLDER REPOSITORY
set -euo pipefail
folder=$1 repository=$2
read -r tag digest < <(jq -r '
  .manifests[]
  | {tag: .annotations["org.opencontainers.image.ref.name"], digest}
  | select(.tag)
  | "\(.tag) \(.digest)"' "$folder/index.json")
skopeo copy --quiet --all --preserve-digests "oci:$folder:$tag" "docker://$repository@$digest" >&2
echo "$digest"
