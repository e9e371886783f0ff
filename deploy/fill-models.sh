#!/bin/sh
# Fills a folder with what Triton and the proxy read: fill-models.sh FOLDER [arguments of the export, such as --pack FILE]
# CORES: the cores that Triton will have there; without it, those that this process has.
set -eu

here=$(dirname "$0")
models=$1
shift
# The default pack as the image was built with it. What is there already is the export's to judge: an older release's
# graphs are made anew, another pack is kept.
if [ ! -e "$models/models.json" ]; then
    cp -r "$here/finished/." "$models/"
fi
# So that this needs no network either.
mkdir -p "$XDG_CACHE_HOME"
cp -r "$here/cache/." "$XDG_CACHE_HOME/"
python -m visavis_export --model-repository "$models" --refresh "$@"
exec python -m visavis_export instances --model-repository "$models" --cores "${CORES:-$(nproc)}"
