"""Linear discriminant: both faces' patches through one linear map that was fitted to tell masked people apart."""

from demo.methods.cross import CrossMethod


class Discriminant(CrossMethod):
    """1 - cosine of what Model L makes of each face alone (``demo.crossimage.networks.Linear``). Not of the papers."""

    word = "discriminant"
    title = "Linear discriminant (masks)"
    short = "Discriminant"
    name = "L"
    explanation = "One linear map of all patches, fitted to tell people apart whatever is drawn over their faces."
    kind = "Linear discriminant of the patches"
    measure = "1 − cosine similarity of a linear discriminant map of either face's patches"
