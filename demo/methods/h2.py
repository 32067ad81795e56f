"""Face-ViT's Model H2: as H2L, but one token decides for both faces."""

from demo.methods.cross import CrossMethod


class H2(CrossMethod):
    """1 - probability of "same" that the CLS token gives."""

    word = "h2"
    title = "Hybrid ViT, two images, CLS"
    short = "H2"
    name = "H2"
    explanation = "A transformer looks at both faces at once and says how probably they are one person."
    measure = "1 − probability that H2 gives to one person"
