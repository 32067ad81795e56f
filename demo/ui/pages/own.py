"""Bring your own people: a few photos from the camera or a folder become a gallery that is searched at once."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import gradio as gr

from demo.errors import DemoError
from demo.gallery import check_name, checked_person, keep_photos, list_photos, person_of
from demo.ui.components import PhotoInput, PhotosInput
from demo.ui.engine import Engine
from demo.ui.pages.galleries import LINE
from demo.ui.widgets import gallery_choices, pairs, plain

NAME = "my-people"
#: Photos that can be brought at a time; a zip on the Galleries page takes more.
MOST = 100

#: (file, person) of every photo that was added so far.
Brought = list[tuple[str, str]]


def bring_your_own(engine: Engine, gallery: gr.Dropdown, quick: dict):
    """Layout and wiring, inside a column; gives the event after which the new gallery is chosen, None where visitors
    may not add galleries. quick: how events that compute nothing run."""
    if not engine.settings.edit_galleries:
        gr.Markdown("Your own people can be added where the app runs on your own machine.", elem_classes="hint")
        return None
    does = OwnHandlers(engine)
    brought = gr.State([], time_to_live=3600)
    with gr.Accordion("Bring your own people", open=False, elem_id="own"):
        gr.Markdown("Of people who agreed to it: the photos stay on this machine until the gallery is deleted on the "
                    "page Galleries, and every visitor of this app can see them.", elem_classes="hint")
        person = gr.Textbox(label="Who is in the photos you add next?", max_lines=1, elem_id="own-person",
                            info="Empty: file names tell, such as anna-1.jpg, anna-2.jpg and ben.jpg.")
        files = PhotosInput(label="Photos", file_types=["image"], file_count="multiple", height=110,
                            elem_id="own-files")
        camera = PhotoInput(label="Or take them with the camera", type="filepath", sources=["webcam"], height=190,
                            elem_id="own-camera", webcam_options=gr.WebcamOptions(mirror=False))
        listed = gr.Markdown(does.listed([]), elem_id="own-listed")
        name = gr.Textbox(NAME, label="Name of the gallery", max_lines=1, elem_id="own-name")
        with gr.Row(elem_classes="tight"):
            search = gr.Button("Search among them", variant="primary", min_width=150, scale=2, elem_id="own-search")
            clear = gr.Button("Clear", min_width=70, scale=1, elem_id="own-clear")
    files.upload(does.add_files, [files, person, brought], [files, brought, listed], **quick)
    camera.input(does.add_photo, [camera, person, brought], [camera, brought, listed], **quick)
    clear.click(lambda: ([], does.listed([])), None, [brought, listed], **quick)
    return search.click(does.search, [name, brought], [gallery, brought, listed], concurrency_id=LINE,
                        api_visibility="private", show_progress="minimal", show_progress_on=[listed])


class OwnHandlers:
    """What the part of the page does, without its components."""

    def __init__(self, engine: Engine):
        self.engine = engine

    def add_files(self, files: list[str] | None, person: str, brought: Brought):
        """Files were chosen: they join those that are there."""
        return None, *self._joined(files or [], person, brought)

    def add_photo(self, photo: str | None, person: str, brought: Brought):
        """The camera took one."""
        if photo is None:
            return None, brought, self.listed(brought)
        return None, *self._joined([photo], person or "me", brought)

    def _joined(self, files: list[str], person: str, brought: Brought) -> tuple[Brought, str]:
        if len(brought) + len(files) > MOST:
            raise gr.Error(f"At most {MOST} photos can be brought this way: add a zip on the page Galleries.",
                           print_exception=False)
        try:
            new = [(file, checked_person(person) if (person or "").strip() else person_of(file)) for file in files]
        except DemoError as error:
            raise gr.Error(str(error), print_exception=False) from None
        return [*brought, *new], self.listed([*brought, *new])

    def listed(self, brought: Brought, said: str = "") -> str:
        """Who was added so far, and what else is to be said."""
        people = Counter(person for _, person in brought)
        told = " · ".join(f"{plain(person)}: {count} photo{'s' * (count > 1)}" for person, count in people.items())
        return said or told or "No photos yet."

    def search(self, name: str, brought: Brought, progress=gr.Progress()):  # noqa: B008
        """Make a gallery of them, index it for the backbone that the app opens with, and choose it."""
        settings = self.engine.settings

        def tell(done: int, total: int, path: str) -> None:
            self.engine.give_way()
            progress((done, total), desc="Finding faces", unit="photos")

        try:
            target = settings.added / self._free(check_name(name or NAME))
            keep_photos(brought, target, max_mb=settings.max_archive_mb)
            try:
                made = self.engine.identifier(target.name, settings.backbone, tell).gallery
            except DemoError:
                shutil.rmtree(target)
                raise
        except DemoError as error:
            raise gr.Error(str(error), print_exception=False) from None
        photos = len(list_photos(target))
        said = f"{plain(target.name)}: {len(made)} of {photos} photos, {len(made.people)} people, are searched now."
        further = [f"left out {_named(failure.path, brought)}: {failure.reason}" for failure in made.manifest.failures]
        further += [f"{_named(one.path, brought)} {one.told}" for one in made.manifest.crowded]
        return (gr.Dropdown(pairs(gallery_choices(self.engine)), value=target.name), [],
                self.listed([], said + "".join(f"\n- {one}" for one in further)))

    def _free(self, name: str) -> str:
        """The name, or with a number where the usual one is taken; BadGallery comes for another that is."""
        taken, number, free = set(self.engine.gallery_names()), 1, name
        while name == NAME and free in taken:
            number += 1
            free = f"{name}-{number}"
        return free


def _named(path: str, brought: Brought) -> str:
    """What a file of the gallery, where they are numbered from 1, was called when it was brought."""
    return plain(Path(brought[int(Path(path).stem) - 1][0]).name)
