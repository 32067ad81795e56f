#!/usr/bin/env bash
# One answer on every device, and the papers' two timings (a few minutes on one H100 or H200; without a CUDA device a
# small part of it on the processor). Prints a table, writes out/gpu.json or what --out names, ends with 1 if a part fails.
# An installed package runs the same as: face-match benchmark gpu
set -euo pipefail
cd "$(dirname "$0")/.."
case " $* " in *" --out "*) ;; *) mkdir -p out && set -- "$@" --out out/gpu.json ;; esac
exec "${PYTHON:-python3}" -m demo benchmark --repeats 3 gpu "$@"
