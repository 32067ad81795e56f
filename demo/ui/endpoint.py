"""Public endpoints, whose parameters are generated."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gradio as gr

from demo.errors import DemoError
from demo.fields import Field
from demo.ui.parameters import read_all


def endpoint(fields: Sequence[Field], handler: Callable[[Mapping[str, Any], gr.Progress], Any]) -> Callable:
    """A function for Gradio that takes what a program sends under the fields' words, in their order.

    handler: gets the values, read, and the progress; a DemoError of either reaches the program as its sentence.
    """
    def answer(*sent):
        *values, progress = sent
        try:
            return handler(read_all(fields, values), progress)
        except DemoError as error:
            raise gr.Error(str(error), print_exception=False) from None

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    # What may be left out without a value of its own has to say so, and so has all that follows it.
    first = next((at for at, one in enumerate(fields) if one.optional), len(fields))
    named = [inspect.Parameter(one.word, kind, default=inspect.Parameter.empty if at < first else None)
             for at, one in enumerate(fields)]
    answer.__signature__ = inspect.Signature([*named, inspect.Parameter("progress", kind, default=gr.Progress())])
    return answer
