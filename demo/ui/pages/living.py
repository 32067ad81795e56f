"""Single photos and people of the gallery that is shown: more of them, fewer, other names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from demo.gallery import checked_person, list_photos
from demo.ui.components import PhotosInput
from demo.ui.engine import Engine
from demo.ui.widgets import plain
from demo.words import photos_are

ALL = "All photos"
#: People and photos that a menu offers; others are typed.
MOST = 2000
_UNMEASURED = " What distances mean in it is taken from other people until it is indexed again (above)."


def change_gallery(engine: Engine, chosen: gr.Dropdown, said: gr.Markdown, heavy: dict[str, Any],
                   quick: dict[str, Any]) -> tuple:
    """Layout and wiring, inside a column; returns the events that change what is shown. chosen: which gallery; said:
    what came of it. heavy, quick: how events run that compute features, and those that do not."""
    does = LivingHandlers(engine)
    asked = gr.State("")
    with gr.Accordion("Change the shown gallery", open=False, elem_id="living"):
        person = gr.Dropdown([], label="Person", allow_custom_value=True, elem_id="living-person",
                             info="Of the gallery; a new name for photos of somebody new.")
        files = PhotosInput(label="More photos of this person", file_types=["image"], file_count="multiple", height=150,
                            elem_id="living-files")
        add = gr.Button("Add these photos", variant="primary", elem_id="living-add")
        photo = gr.Dropdown([ALL], value=ALL, label="Which of the person's photos", elem_id="living-photo")
        with gr.Row(elem_classes="beside"):
            name = gr.Textbox(label="Who it is", max_lines=1, elem_id="living-name",
                              info="A person who is there already gets these photos too.")
            rename = gr.Button("Rename", elem_id="living-rename")
        delete = gr.Button("Delete", variant="stop", elem_id="living-delete")
    person.focus(does.people, chosen, person, **quick)
    gr.on([person.change, chosen.change], does.photos, [chosen, person], photo, **quick)
    events = (add.click(does.add_photos, [chosen, person, files], [said, files], **heavy),
              rename.click(does.rename, [chosen, person, photo, name], [said, person, name], **heavy),
              delete.click(does.delete_photos, [chosen, person, photo, asked], [said, asked], **heavy))
    for event in events:
        event.then(does.photos, [chosen, person], photo, **quick)
    return events


class LivingHandlers:
    """What this part of the page does, without its components."""

    def __init__(self, engine: Engine):
        self.engine = engine

    def people(self, gallery: str | None):
        """The menu of people."""
        return gr.Dropdown(choices=sorted({photo.identity for photo in self._photos(gallery)})[:MOST])

    def photos(self, gallery: str | None, person: str | None):
        """The menu of a person's photos."""
        own = [photo.path for photo in self._photos(gallery) if photo.identity == person]
        return gr.Dropdown([ALL, *own[:MOST]], value=ALL)

    def _photos(self, gallery: str | None):
        return list_photos(self.engine.folder(gallery)) if gallery in self.engine.folders() else []

    def add_photos(self, gallery: str, person: str | None, files: Sequence[str] | None, progress=gr.Progress()):  # noqa: B008
        """Photos of a person, new or known, are in the gallery at once."""

        def tell(done: int, total: int, path: str) -> None:
            self.engine.give_way()
            progress((done, total), desc="Finding faces", unit="photos")

        if not files:
            raise gr.Error("Add photos first.", print_exception=False)
        name = checked_person(person or "")
        failures = self.engine.add(gallery, [(file, name) for file in files], tell)
        left = "".join(f"\n- left out {plain(failure.path)}: {failure.reason}" for failure in failures)
        return f"{plain(name)}: {len(files) - len(failures)} of {len(files)} photos taken in.{_UNMEASURED}{left}", None

    def rename(self, gallery: str, person: str | None, photo: str, name: str):
        """A person, or one photo, is called otherwise."""
        what = _what(person, photo)
        count = self.engine.rename(gallery, what, name)
        now = checked_person(name)
        return f"{plain(what)}: {photos_are(count)} now {plain(now)}.{_UNMEASURED}", now, ""

    def delete_photos(self, gallery: str, person: str | None, photo: str, asked: str):
        """A person, or one photo, is erased once that was asked for twice."""
        what = _what(person, photo)
        if asked != f"{gallery}/{what}":
            return f"Press Delete again to erase {plain(what)} from {plain(gallery)} for good.", f"{gallery}/{what}"
        count = self.engine.erase(gallery, what)
        return f"{plain(what)} is erased: {photos_are(count)} gone.{_UNMEASURED}", ""


def _what(person: str | None, photo: str) -> str:
    if not person:
        raise gr.Error("Choose a person first.", print_exception=False)
    return person if photo in (None, ALL) else photo
