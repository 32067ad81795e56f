"""The app. Hugging Face Spaces runs this file unchanged; at home: ``python app.py``."""

from demo.settings import settings
from demo.ui.app import build
from demo.ui.engine import Engine
from demo.ui.serve import serve

engine = Engine(settings())
demo = build(settings(), engine)

if __name__ == "__main__":
    serve(settings(), demo, engine)
