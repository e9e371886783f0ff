#!/usr/bin/env bash
# What the issue asks of a card, on a host that has one:
# perf/gpu/bench.sh [--choices] [--all] [--only STEP] [--minutes N] [--dry-run] [--wheels DIR [--host-cuda]]
#
#   --choices     half precision, CUDA graph, instances afterwards, each beside the default (gpu/choices.py)
#   --all         the whole extended bench afterwards
#   --only STEP   check, targets or choices alone, for a card that is lent for a few minutes at a time; what an earlier
#                 call installed is still there
#   --minutes N   of all but --all, 25 without it: choices that would end later are left out
#   --wheels DIR  install from these files alone, for a host without a network (perf/gpu/carry.py brings them there)
#   --host-cuda   CUDA 13 and cuDNN 9 are on the host already, on the library path or in the python3 there
#   --dry-run     print what would be run
#
# Needs the driver, and Python 3.11 or 3.12 with its shared library (PYTHON names another than the path's). Makes an
# environment of its own under .venvs with onnxruntime-gpu in place of onnxruntime (two packages, one import name),
# makes the graphs unless they are there, and refuses to go on where the CUDA provider does not load.
# Results: perf/results/gpu/<date>-<cores>core-<card>.json, and …-choices.json, and a table of each.
set -euo pipefail
cd "$(dirname "$0")/../.."

all= choices= dry= wheels= host_cuda= only= minutes=25
while [ $# -gt 0 ]; do
  case $1 in
    --all) all=1 ;;
    --choices) choices=1 ;;
    --only) only=${2:?--only needs a step}; shift ;;
    --minutes) minutes=${2:?--minutes needs a number}; shift ;;
    --dry-run) dry=1 ;;
    --host-cuda) host_cuda=1 ;;
    --wheels) wheels=${2:?--wheels needs a folder}; shift ;;
    *) echo "perf/gpu/bench.sh: unknown: $1" >&2; exit 2 ;;
  esac
  shift
done
case $only in ''|check|targets) ;; choices) choices=1 ;; *) echo "perf/gpu/bench.sh: no such step: $only" >&2; exit 2 ;; esac
case $minutes in ''|*[!0-9]*) echo "perf/gpu/bench.sh: --minutes: not a whole number: $minutes" >&2; exit 2 ;; esac
[ -z "$wheels" ] || [ -d "$wheels" ] || { echo "perf/gpu/bench.sh: $wheels is no folder" >&2; exit 2; }

python=${PYTHON:-python3}
# One that was carried here does not find its own library.
carried=$(dirname "$(dirname "$python")")/lib
if ls "$carried"/libpython3.*.so.1.0 >/dev/null 2>&1; then
  export LD_LIBRARY_PATH="$carried${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
fi

chosen() { [ -z "$only" ] || [ "$only" = "$1" ]; }
{
  echo "Plan, $minutes minutes at most:"
  echo "  up to 6   environment and graphs (2 from wheels; none where they are there)"
  if chosen check; then echo "  1         the card computes what the processor does"; fi
  if chosen targets; then echo "  6         targets"; fi
  if [ -n "$choices" ] && chosen choices; then echo "  up to 12  choices, as the time allows"; fi
  if [ -n "$all" ]; then echo "  and then  the extended bench, half an hour and more"; fi
} >&2

run() { if [ -n "$dry" ]; then echo "$*"; else "$@"; fi; }
# Not the one that docs/operations.md makes under .venvs/gpu: it lacks what the bench needs.
environment=$PWD/.venvs/gpu-bench
pip=("$environment/bin/python" -m pip --disable-pip-version-check --quiet install)
[ -z "$wheels" ] || pip+=(--no-index --find-links "$wheels")

[ -n "$dry" ] || nvidia-smi -L >/dev/null || { echo "perf/gpu/bench.sh: no NVIDIA card answers" >&2; exit 1; }
if [ -n "$dry" ] || [ ! -x "$environment/bin/visavis" ]; then
  run "$python" -m venv --clear "$environment"
  # What installs the project comes first, since nothing is built in isolation. onnxruntime is not asked for: what the
  # other packages would bring is named in perf/gpu/packages.txt.
  run "${pip[@]}" 'hatchling>=1.27' 'editables>=0.5'
  run "${pip[@]}" --requirement perf/gpu/packages.txt
  # Its program asks for glibc 2.38; on an older host PERF_ANALYZER names one that runs there.
  [ -n "${PERF_ANALYZER:-}" ] || run "${pip[@]}" 'perf-analyzer>=2.60'
  # CUDA's and cuDNN's libraries come as wheels too: no toolkit is needed on the host.
  if [ -n "$host_cuda" ]; then run "${pip[@]}" 'onnxruntime-gpu>=1.24'; else run "${pip[@]}" 'onnxruntime-gpu[cuda,cudnn]>=1.24'; fi
  run "${pip[@]}" --no-deps --no-build-isolation --editable .
fi

if [ -n "$host_cuda" ] && [ -z "$dry" ]; then
  # Libraries of wheels in the host's own python3, such as PyTorch brings.
  found=$(python3 -c '
import glob, site, sys
places = [*site.getsitepackages(), *sys.path]
print(":".join(sorted({f for p in places if p for f in glob.glob(p + "/nvidia/*/lib")})))')
  export LD_LIBRARY_PATH="$found${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
fi
# perf_analyzer is a program of the environment.
export PATH="$environment/bin:$PATH"

if [ -n "$dry" ] || [ ! -f model_repository/models.json ]; then run visavis export; fi
if chosen check; then run "$environment/bin/python" perf/gpu/check.py; fi
if chosen targets; then run "$environment/bin/python" perf/gpu/targets.py; fi
if [ -n "$choices" ] && chosen choices; then
  # Where it fails, the other choices are measured all the same.
  half=.cache/perf/half-precision
  if [ -n "$dry" ] || [ ! -f $half/models.json ]; then
    run visavis export --model-repository $half --pack opencv --precision fp16 || true
  fi
  # What is left; a dry run has all of it.
  run "$environment/bin/python" perf/gpu/choices.py --minutes $((minutes - (SECONDS + 59) / 60))
fi
[ -z "$all" ] || run visavis bench run --extended
