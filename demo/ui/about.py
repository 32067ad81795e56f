"""The About page: what the two methods do, what the numbers mean, and what this is not for."""

import gradio as gr

from demo.settings import ASSETS, Settings


def about_page(settings: Settings) -> None:
    """Lay out the page. Call inside ``gr.Blocks``."""
    text = (ASSETS / "ui" / "about.md").read_text(encoding="utf-8")
    gr.Markdown(text.replace("{keep_minutes}", str(settings.keep_minutes)), elem_classes="about-page")
