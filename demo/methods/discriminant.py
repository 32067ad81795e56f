"""Linear discriminant: both faces' patches through one linear map that was fitted to tell masked people apart."""

from torch import Tensor
from torch.nn import functional as F

from demo.backbones import Features
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

    def embedding(self, features: Features) -> Tensor:
        """(N, O) unit length: of each face alone; the distance is 1 - the inner product of two."""
        made = self.prepare(features).embedding
        assert made is not None  # Model L sees one face at a time
        return F.normalize(made.float(), dim=1)
