#!/usr/bin/env bash
# The GPU scenarios on a host with an NVIDIA card: perf/gpu/bench.sh [--quick]
#
# Needs the driver and Python 3.11 or newer. Makes an environment of its own under .venvs, takes onnxruntime-gpu in
# place of onnxruntime (two packages, one import name: they cannot be installed together), makes the graphs, checks
# that the card is really used, and runs the whole bench. Result: perf/results/<date>-<cores>core-<card>.json.
set -euo pipefail
cd "$(dirname "$0")/../.."

nvidia-smi -L >/dev/null || { echo "perf/gpu/bench.sh: no NVIDIA card answers" >&2; exit 1; }
environment=.venvs/gpu
if [ ! -x "$environment/bin/visavis" ]; then
  python3 -m venv "$environment"
  "$environment/bin/pip" install --quiet --upgrade pip
  "$environment/bin/pip" install --quiet --editable '.[embedded,export]'
  "$environment/bin/pip" uninstall --quiet --yes onnxruntime
  # CUDA's and cuDNN's libraries come as wheels: no toolkit is needed on the host.
  "$environment/bin/pip" install --quiet 'onnxruntime-gpu[cuda,cudnn]>=1.20' 'numpy<2'
  "$environment/bin/pip" install --quiet aiohttp botocore matplotlib openvino psutil
fi

"$environment/bin/python" - <<'PY'
import onnxruntime
if hasattr(onnxruntime, "preload_dlls"):
    onnxruntime.preload_dlls()
if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
    raise SystemExit("perf/gpu/bench.sh: onnxruntime has no CUDA provider here")
PY
"$environment/bin/visavis" export
"$environment/bin/python" perf/gpu/raw_embedder.py
exec "$environment/bin/visavis" bench run --extended "$@"
