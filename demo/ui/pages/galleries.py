"""The Galleries page: what is loaded, how it looks, and, where the host allows it, adding and deleting."""

from __future__ import annotations

from typing import Any

import gradio as gr

from demo.backbones import BackboneInfo, grid_name
from demo.errors import DemoError
from demo.gallery import check_name, list_photos, passed_over, people_left_out, unpack_archive
from demo.ui.components import ArchiveInput
from demo.ui.engine import Engine
from demo.ui.pages.living import change_gallery
from demo.ui.problems import for_visitors
from demo.ui.views.sheet import sheet_html
from demo.ui.widgets import plain

PAGE = 48
#: Indexing has a line of its own, so that nobody who looks for a face waits behind it.
LINE = "index"
PRIVATE: dict[str, Any] = {"api_visibility": "private"}


def galleries_page(engine: Engine, page: gr.Blocks) -> None:
    """Layout and wiring, inside a route."""
    does = GalleryHandlers(engine)
    names = engine.gallery_names()
    gr.Markdown("# Galleries\nThe people a query is compared with. A gallery is a folder with one sub-folder per "
                "person; its photos are indexed once for each backbone.")
    table = gr.Dataframe(headers=["Gallery", "People", "Photos", "Indexed for"], interactive=False, wrap=True,
                         elem_id="gallery-table", label="Galleries", datatype="str",
                         column_widths=["32%", "17%", "17%", "34%"])
    chosen = gr.Dropdown(names, value=names[0] if names else None, label="Show", elem_id="gallery-shown")
    facts = gr.Markdown(elem_id="gallery-facts")
    sheet = gr.HTML(elem_id="contact-sheet", label="Contact sheet")
    with gr.Row():
        number = gr.Slider(1, 2, 1, step=1, label="Page of the contact sheet", elem_id="sheet-page")

    chosen.focus(lambda: gr.Dropdown(choices=engine.gallery_names()), None, chosen, queue=False, show_progress="hidden",
                 **PRIVATE)

    def shown_after(event) -> None:
        event.then(does.show, chosen, [facts, number], queue=False, **PRIVATE).then(
            does.sheet, [chosen, number], sheet, queue=False, **PRIVATE)

    shown_after(page.load(does.refresh, chosen, [table, chosen], queue=False, **PRIVATE))
    chosen.input(does.show, chosen, [facts, number], queue=False, **PRIVATE).then(
        does.sheet, [chosen, number], sheet, queue=False, **PRIVATE)
    number.release(does.sheet, [chosen, number], sheet, queue=False, **PRIVATE)
    lines = (for_visitors(_backbone_line(info), engine.settings) for info in engine.backbones())
    gr.Markdown("## Backbones\n" + "\n".join(lines), elem_id="backbones")
    if not engine.settings.edit_galleries:
        gr.Markdown("Adding galleries is switched off on this host. Run the app at home to use your own photos.",
                    elem_classes="hint")
        return
    for event in _editing(does, chosen):
        shown_after(event.then(does.refresh, chosen, [table, chosen], queue=False, **PRIVATE))


def _editing(does: GalleryHandlers, chosen: gr.Dropdown) -> tuple:
    """Controls that change galleries; returns their events."""
    settings = does.engine.settings
    ready = [(info.title, info.name) for info in does.engine.backbones() if info.ready]
    with gr.Accordion("Index again for a backbone", open=False):
        gr.Markdown("New and changed photos are computed, the others are kept.", elem_classes="hint")
        backbone = gr.Dropdown(ready, value=settings.backbone, label="Backbone", elem_id="build-backbone")
        with gr.Row():
            build = gr.Button("Index", variant="primary", elem_id="build")
            stop = gr.Button("Stop", elem_id="build-stop")
    said = gr.Markdown(elem_id="gallery-said", render=False)
    heavy = {"concurrency_id": LINE, "concurrency_limit": 1, "show_progress_on": [said], **PRIVATE}
    changes = change_gallery(does.engine, chosen, said, heavy, {"queue": False, "show_progress": "hidden", **PRIVATE})
    with gr.Accordion("Add a gallery", open=False):
        gr.Markdown("A zip with one folder per person. Use photos of people who agreed to it: they stay on this "
                    "machine until the gallery is deleted, and every visitor of it can see them.",
                    elem_classes="hint")
        name = gr.Textbox(label="Name", max_lines=1, elem_id="new-name")
        archive = ArchiveInput(label="Zip of photos", file_types=[".zip"], elem_id="new-zip")
        add = gr.Button("Add", variant="primary", elem_id="add")
    with gr.Accordion("Delete the shown gallery", open=False):
        sure = gr.Textbox(label="Type its name to delete its photos and indexes", elem_id="delete-name")
        delete = gr.Button("Delete", variant="stop", elem_id="delete")
    said.render()
    events = (*changes,
              build.click(does.build, [chosen, backbone], said, **heavy),
              add.click(does.add, [name, archive], [said, chosen], **heavy),
              delete.click(does.delete, [chosen, sure], [said, chosen], **heavy))
    stop.click(does.stop, queue=False, **PRIVATE)
    return events


class GalleryHandlers:
    """What the page does, without its components."""

    def __init__(self, engine: Engine):
        self.engine = engine
        self._stopped: set[str | None] = set()

    def refresh(self, chosen: str | None):
        """The table, and the choices with what was chosen kept where it still exists."""
        names = self.engine.gallery_names()
        states = [self.engine.state(name) for name in names]
        rows = [[state.name, state.people, state.photos,
                 ", ".join(f"{backbone} ({count})" for backbone, count in state.indexed.items()) or "none yet"]
                for state in states]
        return rows, gr.Dropdown(names, value=chosen if chosen in names else next(iter(names), None))

    def show(self, name: str | None):
        """Facts of a gallery, photos left out included, and the pages of its contact sheet."""
        if not name:
            return "There is no gallery yet.", gr.Slider(1, 2, 1, visible=False)
        folder = self.engine.folder(name)
        pages = max(1, -(-len(list_photos(folder)) // PAGE))
        lines = []
        try:
            gallery = self.engine.opened(name)
            passed = passed_over(folder)
            left = (*gallery.manifest.failures, *passed)
            lines += [f"- left out {plain(one.path)}: {one.reason}" for one in left]
            lines += [f"- {plain(person)} is not in the gallery: none of the photos can be used."
                      for person in people_left_out(gallery, passed)]
            lines += [f"- {plain(one.path)} {one.told}" for one in gallery.manifest.crowded]
            lines.insert(0, f"{len(gallery)} photos of {len(gallery.people)} people are indexed for "
                            f"{gallery.manifest.backbone}, {len(left)} left out.")
        except DemoError:
            lines = ["Not indexed yet: it will be when it is first used, or press Index below."]
        return "\n".join(lines), gr.Slider(1, max(pages, 2), 1, step=1, visible=pages > 1)

    def sheet(self, name: str | None, number: int):
        """One page of photos, each with its person's name, as HTML."""
        photos = list_photos(self.engine.folder(name))[(int(number) - 1) * PAGE:int(number) * PAGE] if name else []
        return sheet_html(photos, self.engine.settings.limits)

    def stop(self, request: gr.Request) -> None:
        """Stop this visitor's build at the next photo."""
        self._stopped.add(request.session_hash)

    def build(self, name: str, backbone: str, request: gr.Request, progress=gr.Progress()):  # noqa: B008
        """Index with progress; Stop takes effect between photos."""
        self._stopped.discard(request.session_hash)

        def pause(kept: str) -> None:
            if request.session_hash in self._stopped:
                raise DemoError(f"Stopped. {kept}")
            self.engine.give_way()

        def tell(done: int, total: int, path: str) -> None:
            pause("What was indexed so far is kept.")
            progress((done, total), desc=f"Indexing {path}")

        def measured(jobs):
            for job in progress.tqdm(jobs, desc="Measuring how near strangers come"):
                pause("The photos are indexed; how near strangers come was not measured again.")
                yield job

        try:
            built = self.engine.build(name, backbone, tell, measured)
        except DemoError as error:
            raise gr.Error(str(error), print_exception=False) from None
        return f"{name} is indexed for {backbone}: {len(built)} photos, {len(built.manifest.failures)} left out."

    def add(self, name: str, archive: str | None, request: gr.Request, progress=gr.Progress()):  # noqa: B008
        """Unpack an archive and index it for the default backbone."""
        settings = self.engine.settings
        try:
            if archive is None:
                raise gr.Error("Choose a zip of photos first.", print_exception=False)
            target = settings.added / check_name(name)
            if target.name in self.engine.gallery_names():
                raise gr.Error(f"There is a gallery {target.name!r} already: choose another name.",
                               print_exception=False)
            unpacked = unpack_archive(archive, target, max_mb=settings.max_archive_mb,
                                      max_photo_mb=settings.max_upload_mb)
            text = self.build(target.name, settings.backbone, request, progress)
        except DemoError as error:
            raise gr.Error(str(error), print_exception=False) from None
        noted = "".join(f"\n- {plain(note)}" for note in unpacked.notes)
        skipped = noted + "".join(f"\n- skipped {plain(path)}: {reason}" for path, reason in unpacked.skipped[:50])
        return text + skipped, gr.Dropdown(self.engine.gallery_names(), value=target.name)

    def delete(self, name: str, sure: str):
        """Delete after its name was typed; the bundled gallery stays."""
        if name == self.engine.settings.gallery:
            raise gr.Error("The gallery that the app opens first cannot be deleted.", print_exception=False)
        if sure != name:
            raise gr.Error(f"Type {name} to delete it.", print_exception=False)
        self.engine.forget(name)
        names = self.engine.gallery_names()
        return f"{name} is deleted.", gr.Dropdown(names, value=names[0])


def _backbone_line(info: BackboneInfo) -> str:
    shapes = zip(info.grids, info.channels, strict=True)
    grids = ", ".join(f"{grid_name(grid)} × {channels}" for grid, channels in shapes)
    state = "ready" if info.ready else f"not ready. {info.why_not}"
    return f"- **{info.title}** (`{info.name}`; patches {grids}; licence: {info.licence}): {state}"
