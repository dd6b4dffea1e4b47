#!/usr/bin/env bash
# Signs an image's index, and attests the SBOM of each host to that host's manifest: sign.sh REPOSITORY@DIGEST FOLDER
# FOLDER is what build-image.sh has made; COSIGN_SIGN has more options, such as --key.
set -euo pipefail
image=$1 folder=$2
read -ra options <<<"${COSIGN_SIGN:-}"
cosign sign --yes "${options[@]}" "$image"
skopeo inspect --raw "docker://$image" | jq -r '.manifests[] | "\(.platform.architecture) \(.digest)"' |
  while read -r architecture digest; do
    case $architecture in
      amd64) host=x86_64 ;;
      arm64) host=aarch64 ;;
      *) host=$architecture ;;
    esac
    cosign attest --yes "${options[@]}" --type spdxjson --predicate "$folder/$host.spdx.json" "${image%@*}@$digest"
  done
