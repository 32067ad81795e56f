"""Problems a user can mend. ``str(error)`` is one sentence, fit for a page, a terminal or an API answer."""


class DemoError(ValueError):
    """Base of every problem that is explained to the user rather than shown as a traceback.

    Names from files may stand in the sentence; signs that would steer a terminal are written as escapes.
    """

    def __str__(self) -> str:
        return "".join(sign if sign.isprintable() or sign == "\n" else ascii(sign)[1:-1] for sign in super().__str__())


class BadPhoto(DemoError):
    """The source is not a photo that can be read, or is over a limit."""


class NoFace(DemoError):
    """No face was found, so there is nothing to measure."""


class FaceLost(NoFace):
    """A face was found, and is found no more in the altered photo. photo: that one, uint8 (H, W, 3), to show it."""

    def __init__(self, text: str, photo=None):
        super().__init__(text)
        self.photo = photo


class BadSetting(DemoError):
    """A parameter is unknown, out of range, or does not fit the other choices."""


class WeightsMissing(DemoError):
    """A weights file is not on this machine; the sentence says which and how to get it."""


class BadWeights(DemoError):
    """A weights file is damaged or belongs to another network."""


class BadGallery(DemoError):
    """A gallery folder or index cannot be used as it is."""


class StoreLost(DemoError):
    """The store of a gallery does not answer, although it was asked several times."""


class BadStudy(DemoError):
    """A study's configuration, stimuli or database cannot be used as they are, or the step is not possible now."""


class NotSaved(DemoError):
    """An answer could not be made durable; nothing was recorded, and the same answer may be sent again."""


class StaleTab(DemoError):
    """The participant has opened the study again elsewhere; this tab's answers no longer count."""


class UnknownParticipant(DemoError):
    """No participant has this token: the link is incomplete, or the participant has withdrawn."""
