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
    named = [inspect.Parameter(one.word, kind) for one in fields]
    answer.__signature__ = inspect.Signature([*named, inspect.Parameter("progress", kind, default=gr.Progress())])
    return answer
