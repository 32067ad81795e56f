# The app with PyTorch for processors: a user without rights, nothing written but /data and /tmp.
FROM python:3.12-slim

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 \
    MPLCONFIGDIR=/tmp/matplotlib \
    GRADIO_SERVER_NAME=0.0.0.0 GRADIO_SERVER_PORT=7860 GRADIO_TEMP_DIR=/tmp/gradio \
    DEMO_WEIGHTS=/data/weights DEMO_CACHE=/data/cache DEMO_STUDY_DIR=/data/studies DEMO_LOG=json HOME=/data

# Names in Chinese, Japanese and Korean in figures: 5 MB.
RUN apt-get update && apt-get install -y --no-install-recommends fonts-wqy-microhei && rm -rf /var/lib/apt/lists/*

WORKDIR /app
COPY requirements.txt .
RUN pip install "torch>=2.8,<2.14" --index-url https://download.pytorch.org/whl/cpu && pip install -r requirements.txt
COPY . .
# Compiled now, so that no visitor waits for it. numba reads only where it may write, so it gets a copy at each start.
RUN mkdir /data && python -m compileall -q demo \
    && NUMBA_CACHE_DIR=/opt/numba python -c "from demo.matching import warm_up; warm_up()" \
    && useradd --system --home-dir /data visitor && chown visitor /data && chmod -R a+rX /opt/numba
ENV NUMBA_CACHE_DIR=/tmp/numba

USER visitor
VOLUME /data
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:7860/readyz', timeout=4)"]
CMD ["sh", "-c", "cp -r --preserve=timestamps /opt/numba /tmp && exec python app.py"]
