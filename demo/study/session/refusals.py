"""Why somebody cannot take part, in a word that the page has a text for."""

from __future__ import annotations

from demo.errors import BadStudy
from demo.study.design.config import StudyConfig

#: Word → the setting whose code and address go with it ("" = none), and a sentence for whoever has no page.
REASONS = {
    "closed": ("over_quota", "The study is closed: no more answers are taken. Thank you for your interest."),
    "full": ("over_quota", "The study is full: enough people have taken part. Thank you for your interest."),
    "screened": ("screened_out", "The study ends here for you: the questions about the task were not answered."),
    "screen": ("screened_out", "This window is too small for the study: open it on a larger screen."),
    "repeated": ("", "Somebody with this id has begun or finished already: go on in the browser in which you began."),
    "consent_changed": ("", "The consent text has changed since you opened this page: please read it again."),
    "tick_consent": ("", "To take part, please tick both boxes: your consent and your age."),
}


class TurnedAway(BadStudy):
    """Somebody is not let in, or not any further. word: of REASONS. code, url: for the recruiting service."""

    def __init__(self, word: str, config: StudyConfig | None = None):
        super().__init__(REASONS[word][1])
        self.word = word
        self.code, self.url = codes(config, REASONS[word][0])


def codes(config: StudyConfig | None, setting: str) -> tuple[str, str]:
    """Code and address of a setting; empty where there are none."""
    if config is None or not setting:
        return "", ""
    return getattr(config, f"{setting}_code"), getattr(config, f"{setting}_url")
