"""Problems a user can mend. ``str(error)`` is one sentence, fit for a page, a terminal or an API answer."""


class DemoError(ValueError):
    """Base of every problem that is explained to the user rather than shown as a traceback."""


class BadPhoto(DemoError):
    """The source is not a photo that can be read, or is over a limit."""


class NoFace(DemoError):
    """No face was found, so there is nothing to measure."""


class BadSetting(DemoError):
    """A parameter is unknown, out of range, or does not fit the other choices."""


class WeightsMissing(DemoError):
    """A weights file is not on this machine; the sentence says which and how to get it."""


class BadWeights(DemoError):
    """A weights file is damaged or belongs to another network."""


class BadGallery(DemoError):
    """A gallery folder or index cannot be used as it is."""
