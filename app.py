"""The app. Hugging Face Spaces runs this file unchanged; at home: ``python app.py``."""

from demo.cli.boundary import ending
from demo.cli.output import stand_any_letter
from demo.settings import settings

stand_any_letter()
with ending("app"):
    settings()  # before Gradio is imported, which reads the environment, too
    from demo.ui.app import build
    from demo.ui.engine import Engine
    from demo.ui.serve import serve

    engine = Engine(settings())
    demo = build(settings(), engine)
    if __name__ == "__main__":
        serve(settings(), demo, engine)
