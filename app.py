"""The app. Hugging Face Spaces runs this file unchanged; at home: ``python app.py``."""

from demo.settings import settings
from demo.ui.app import build, launch_options
from demo.ui.engine import Engine

engine = Engine(settings())
demo = build(settings(), engine)

if __name__ == "__main__":
    engine.warm_up_in_background()
    demo.launch(**launch_options(settings()))
