"""``benchmark``: speed and memory on this machine."""

from __future__ import annotations

import argparse
from importlib import import_module

from demo.cli.arguments import positive

#: Modules of ``demo.benchmarks``; imported when asked for, since no other command needs them.
BENCHMARKS = ("identify", "whatif", "load", "scale", "stage1", "transport", "backbones", "detectors", "gpu")


def add(commands) -> None:
    benchmark = commands.add_parser("benchmark", help="speed and memory on this machine")
    benchmark.add_argument("what", nargs="?", choices=BENCHMARKS, default="identify")
    benchmark.add_argument("--repeats", type=positive, default=15, help="runs per measurement (default 15)")
    benchmark.add_argument("--json", action="store_true")
    benchmark.add_argument("more", nargs=argparse.REMAINDER, metavar="...",
                           help="arguments of that benchmark: 'benchmark detectors --help' lists them")
    benchmark.set_defaults(run=_benchmark)


def _benchmark(parsed) -> None:
    own = argparse.ArgumentParser(prog=f"benchmark {parsed.what}", add_help=False, allow_abbrev=False)
    own.add_argument("--repeats", type=positive)  # behind the benchmark's name it is the benchmark's own
    own.parse_known_args(parsed.more)
    benchmark = import_module(f"demo.benchmarks.{parsed.what}")
    benchmark.main(["--repeats", str(parsed.repeats), *(["--json"] if parsed.json else []), *parsed.more])
