"""Face-ViT's Model H2L: a hybrid transformer that sees both faces, with one output for each."""

from demo.methods.cross import CrossMethod


class H2L(CrossMethod):
    """1 - cosine of the outputs for both faces (Eq. 4.1-4.7)."""

    word = "h2l"
    title = "Cross-image attention (H2L)"
    short = "H2L"
    name = "H2L"
    explanation = "A transformer looks at both faces at once and compares what it makes of either."
    kind = "Hybrid ViT, two images, two outputs"
    measure = "1 − cosine similarity of the two outputs of H2L"
    verifies = True
