"""``evaluate``: how often is the first match right? And, by its actions, every other measurement."""

from __future__ import annotations

import argparse

from demo.cli.evaluate import ablation, beyond, datasets, faithfulness, identification, report, verdicts, verify

#: One module per action, in the order that --help shows; ``evaluate`` without an action is ``identification``.
ACTIONS = (
    datasets,
    verify,
    verdicts,
    ablation,
    beyond,
    faithfulness,
    report,
)


class _Actions(argparse._SubParsersAction):
    """Actions that refuse options placed before them: each has its own of the same names, which would win unseen."""

    def __call__(self, parser, namespace, values, option_string=None):
        assert values
        early = [option.option_strings[0] for option in parser._actions
                 if option.option_strings and getattr(namespace, option.dest, option.default) != option.default]
        if early:
            parser.error(f"options follow the action: write {' '.join(early)} after {values[0]}")
        super().__call__(parser, namespace, values, option_string)


def add(commands) -> None:
    evaluation = commands.add_parser("evaluate", help="P@1, RP and MAP@R of both stages, and other measurements")
    identification.add(evaluation)
    actions = evaluation.add_subparsers(dest="action", metavar="ACTION", action=_Actions)
    for module in ACTIONS:
        module.add(actions)
