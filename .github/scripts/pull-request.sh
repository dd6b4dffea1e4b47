#!/usr/bin/env bash
# Opens a pull request for a branch, or gives the open one a new title and text: pull-request.sh BRANCH TITLE FILE
# A pull request that GITHUB_TOKEN opens starts no workflow: close and open it again to have CI run.
set -euo pipefail
branch=$1 title=$2 text=$3
number=$(gh pr list --head "$branch" --state open --json number --jq '.[0].number // empty')
if [ -n "$number" ]; then
  gh pr edit "$number" --title "$title" --body-file "$text"
else
  gh pr create --head "$branch" --title "$title" --body-file "$text"
fi
