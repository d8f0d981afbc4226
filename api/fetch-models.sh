#!/bin/sh
# Gets the service models that api/apigen.json pins, through pip and whatever
# index this machine is set up for, and prints the folder that holds them.
# They are kept in a cache outside the repository; a second run needs no network.
#
#   go run ./internal/apigen -model "$(api/fetch-models.sh)"
#
# GOLDSMITH_PIP is the pip to use ("python3 -m pip"), GOLDSMITH_CACHE the folder.
set -eu

config=$(dirname "$0")/apigen.json
pinned() { sed -n "s/^ *\"$1\": *\"\([^\"]*\)\",*$/\1/p" "$config" | head -n 1; }
version=$(pinned botocore)
sha256=$(pinned sha256)
if [ -z "$version" ] || [ -z "$sha256" ]; then
	echo "fetch-models: $config pins no botocore release" >&2
	exit 1
fi

cache=${GOLDSMITH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/goldsmith}
models=$cache/botocore-$version-$sha256
if [ ! -d "$models" ]; then
	mkdir -p "$cache"
	work=$(mktemp -d "$cache/fetch.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	trap 'exit 1' HUP INT TERM
	echo "botocore==$version --hash=sha256:$sha256" >"$work/requirements.txt"
	${GOLDSMITH_PIP:-python3 -m pip} download --quiet --disable-pip-version-check --no-deps \
		--only-binary :all: --require-hashes -r "$work/requirements.txt" -d "$work" >&2
	python3 -m zipfile -e "$work"/botocore-*.whl "$work/unpacked"
	# A rename at the end: the folder is there whole or not at all.
	mv "$work/unpacked" "$models" 2>/dev/null || [ -d "$models" ]
fi
echo "$models/botocore/data"
