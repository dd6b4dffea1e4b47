#!/usr/bin/env bash
# Verifies an image's signature, and the SBOM that is attested to each host's manifest: verify.sh REPOSITORY@DIGEST
# COSIGN_VERIFY has more options, such as --key.
set -euo pipefail
image=$1
read -ra options <<<"${COSIGN_VERIFY:-}"
cosign verify "${options[@]}" "$image"
skopeo inspect --raw "docker://$image" | jq -r '.manifests[].digest' |
  while read -r digest; do
    cosign verify-attestation "${options[@]}" --type spdxjson "${image%@*}@$digest" </dev/null |
      jq -r '.payload | @base64d | fromjson | "\(.subject[0].digest.sha256): \(.predicate.name)"'
  done
