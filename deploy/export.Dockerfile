# Fills the volume that Triton and the proxy read: configurations, Python models, graphs, thresholds.
FROM python:3.12-slim-bookworm

COPY requirements/export.txt /tmp/export.txt
RUN python -m pip install --no-cache-dir --require-hashes --requirement /tmp/export.txt
COPY export/visavis_export /app/visavis_export
COPY model_repository /app/visavis_export/model_repository
COPY deploy/fill-models.sh /app/fill-models.sh
ENV PYTHONPATH=/app PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
# A new volume takes the owner of /models.
RUN install --directory --owner 10001 --group 10001 /app/finished /app/cache /models
USER 10001:10001
# The default pack, fetched, verified and kept with its weights: a start needs no network, and takes seconds.
RUN XDG_CACHE_HOME=/app/cache python -m visavis_export --model-repository /app/finished
# The user has no home to keep other packs' weights in.
ENV XDG_CACHE_HOME=/tmp/cache
ENTRYPOINT ["/app/fill-models.sh", "/models"]
