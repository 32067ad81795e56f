"""Colours: Gradio's default theme with every text raised to a readable contrast in light and dark."""

from typing import Any

from gradio.themes import Default
from gradio.themes.utils.fonts import LocalFont

#: In these weights the files that come with Gradio hold all letters; its usual 600 holds a few only.
FONTS: dict[str, Any] = {"font": [LocalFont("Source Sans Pro", weights=(400, 700)), "system-ui", "sans-serif"],
         "font_mono": [LocalFont("IBM Plex Mono", weights=(400, 700)), "monospace"]}

THEME = Default(primary_hue="indigo", secondary_hue="indigo", neutral_hue="slate", **FONTS).set(
    body_text_color_subdued="*neutral_600", body_text_color_subdued_dark="*neutral_300",
    block_info_text_color="*neutral_600", block_info_text_color_dark="*neutral_300",
    block_label_text_color="*neutral_700", block_label_text_color_dark="*neutral_200",
    block_title_text_color="*neutral_800", block_title_text_color_dark="*neutral_100",
    input_placeholder_color="*neutral_600", input_placeholder_color_dark="*neutral_400",
    button_primary_background_fill="*primary_600", button_primary_background_fill_hover="*primary_700",
    button_primary_background_fill_dark="*primary_600", button_primary_background_fill_hover_dark="*primary_700",
    button_primary_text_color="white",
    link_text_color="*primary_700", link_text_color_hover="*primary_800", link_text_color_visited="*primary_700",
    link_text_color_dark="*primary_300", link_text_color_hover_dark="*primary_200",
    link_text_color_visited_dark="*primary_300",
)
