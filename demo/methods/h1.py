"""Face-ViT's Model H1: a hybrid transformer that sees one face at a time."""

from demo.methods.cross import CrossMethod


class H1(CrossMethod):
    """1 - cosine of the embeddings that H1 gives each face alone."""

    word = "h1"
    title = "Hybrid ViT, one image"
    short = "H1"
    name = "H1"
    explanation = "A transformer on the CNN's patches embeds each face alone."
    measure = "1 − cosine similarity of the embeddings that H1 gives each face alone"
