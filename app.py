"""The app. Hugging Face Spaces runs this file unchanged; at home: ``python app.py``."""

import signal
import sys

from demo.settings import settings
from demo.ui.app import build, launch_options
from demo.ui.engine import Engine

engine = Engine(settings())
demo = build(settings(), engine)

if __name__ == "__main__":
    engine.warm_up_in_background()
    # Spaces stop a machine with SIGTERM: leave in order, so that the study's last copy is sent.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    # Server-side rendering puts a server of its own in front, which knows nothing of /study and /operator.
    demo.launch(**launch_options(settings()), ssr_mode=False)
