"""Face-ViT's Model V: a plain vision transformer on the pixels of one face."""

from demo.methods.cross import CrossMethod


class V(CrossMethod):
    """1 - cosine of the embeddings that V gives each face alone."""

    word = "v"
    title = "ViT, one image"
    short = "V"
    name = "V"
    explanation = "A transformer on the pixels embeds each face alone."
    measure = "1 − cosine similarity of the embeddings that V gives each face alone"
