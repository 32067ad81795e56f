"""Copies of a study's database elsewhere: what keeps the answers where a machine's own disk does not outlive it.

On a Space, either ``DEMO_STUDY_DIR`` is a mounted folder, and every acknowledged answer is safe there at once; or
``DEMO_STUDY_REPO`` names a dataset repository, to which a whole copy goes every few minutes and at the end: a machine
that is lost then loses the answers since the last copy. A folder in place of the repository works the same way.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import threading
from pathlib import Path
from typing import Protocol

from huggingface_hub import HfApi, hf_hub_download
from huggingface_hub.errors import EntryNotFoundError, RepositoryNotFoundError

from demo.errors import BadStudy, DemoError, NotSaved
from demo.files import replacing
from demo.settings import Settings
from demo.study.design.config import StudyConfig
from demo.study.records.chain import Seal
from demo.study.records.store import Store, open_study
from demo.study.stimuli.record import Stimuli

log = logging.getLogger("demo")


class Target(Protocol):
    """Where copies go. ``push`` and ``pull`` raise NotSaved where the place cannot be reached."""

    def check(self, database: Path) -> None:
        """Raise BadStudy where a copy would be written over the database itself."""
        ...

    def push(self, file: Path) -> None:
        """Put a file there under its own name, over an older copy."""
        ...

    def pull(self, file: Path) -> bool:
        """Fetch the copy with this file's name to it; False where there is none."""
        ...


class FolderTarget:
    """A folder, such as a network drive."""

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)

    def check(self, database: Path) -> None:
        if self.folder.resolve() == database.parent.resolve():
            raise BadStudy(f"DEMO_STUDY_REPO is the folder {self.folder}, in which the answers themselves are kept: "
                           "give another one for the copies.")

    def push(self, file: Path) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with replacing(self.folder / file.name) as partial:
                shutil.copyfile(file, partial)
        except OSError as error:
            raise NotSaved(f"The copy in {self.folder} could not be written ({error}).") from error

    def pull(self, file: Path) -> bool:
        if not (self.folder / file.name).is_file():
            return False
        with replacing(file) as partial:
            shutil.copyfile(self.folder / file.name, partial)
        return True


class HubTarget:
    """A private dataset repository on Hugging Face; the token is HF_TOKEN or that of ``hf auth login``."""

    def __init__(self, repo: str):
        self.repo = repo

    def check(self, database: Path) -> None:
        """A repository is nowhere on this machine."""

    def push(self, file: Path) -> None:
        try:
            hub = HfApi()
            hub.create_repo(self.repo, repo_type="dataset", private=True, exist_ok=True)
            hub.upload_file(path_or_fileobj=file, path_in_repo=file.name, repo_id=self.repo, repo_type="dataset",
                            commit_message="Study answers")
        except Exception as error:  # the client raises many kinds
            raise NotSaved(f"The copy for the repository {self.repo} could not be sent ({error}).") from error

    def pull(self, file: Path) -> bool:
        try:
            shutil.copyfile(hf_hub_download(self.repo, file.name, repo_type="dataset"), file)
            return True
        except (EntryNotFoundError, RepositoryNotFoundError):
            return False
        except Exception as error:  # the client raises many kinds
            raise NotSaved(f"The repository {self.repo} cannot be reached ({error}), and whether it holds answers of "
                           "this study is unknown: try again.") from error


def target_of(settings: Settings) -> Target | None:
    """Where copies go by the settings; None for nowhere."""
    where = settings.study_repo
    if not where:
        return None
    folder = Path(os.path.expanduser(where))
    return FolderTarget(folder) if folder.is_absolute() or where.startswith(".") else HubTarget(where)


def database_of(settings: Settings, config: StudyConfig) -> Path:
    """The database file of a study."""
    return settings.study_dir / f"{config.study_id}.sqlite3"


def open_kept(path: Path, config: StudyConfig, stimuli: Stimuli, target: Target | None) -> Store:
    """``open_study`` on a machine that may be new: where there is no database yet, its last copy is fetched first."""
    if target is not None:
        target.check(path)
    if target is not None and not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        if target.pull(path):
            target.pull(Seal(path).path)
    return open_study(path, config, stimuli)


class Mirror:
    """Sends a copy every ``minutes`` where something has happened since the last, and once more on ``close``.

    sent_utc: of the last copy. error: what went wrong with the last attempt, else "".
    """

    def __init__(self, store: Store, target: Target, minutes: float):
        self.store, self.target = store, target
        self.sent_utc: str | None = None
        self.error = ""
        self._sent_event = -1
        self._stop = threading.Event()
        self._busy = threading.Lock()
        self._thread = threading.Thread(target=self._run, args=(60 * minutes,), name="study-mirror", daemon=True)
        self._thread.start()

    def push(self) -> bool:
        """Send a copy now; False where nothing has happened since the last. Raises NotSaved."""
        with self._busy, tempfile.TemporaryDirectory() as folder:
            with self.store.read() as db:
                event = db.execute("SELECT coalesce(max(ev_id), 0) FROM event").fetchone()[0]
            if event == self._sent_event:
                return False
            now = self.store.now()
            try:
                self.target.push(self.store.backup(Path(folder) / self.store.path.name))
                if self.store.seal.key is not None:  # so that a new machine goes on with the same chain
                    self.target.push(self.store.seal.path)
            except DemoError as error:
                self.error = str(error)
                raise
            self._sent_event, self.sent_utc, self.error = event, now, ""
            return True

    def close(self) -> None:
        """Stop, after a last copy."""
        self._stop.set()
        self._thread.join()
        self._attempt()

    def _run(self, seconds: float) -> None:
        while not self._stop.wait(seconds):
            self._attempt()

    def _attempt(self) -> None:
        try:
            self.push()
        except DemoError as error:
            log.warning("study: %s", error)
