# Fills the volume that Triton and the proxy read: configurations from the source, graphs from the export.
FROM python:3.12-slim-bookworm

COPY requirements/export.txt /tmp/export.txt
RUN python -m pip install --no-cache-dir --require-hashes --requirement /tmp/export.txt
COPY export/visavis_export /app/visavis_export
COPY model_repository /app/model_repository
ENV PYTHONPATH=/app PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
# The user below has no home to keep downloaded weights in.
ENV XDG_CACHE_HOME=/tmp/cache
# A new volume takes this folder's owner.
RUN install --directory --owner 10001 --group 10001 /models
USER 10001:10001
# Configurations first: graphs that were made for others are stale then, and are made anew.
ENTRYPOINT ["sh", "-c", "cp -r /app/model_repository/. /models/ && exec python -m visavis_export --model-repository /models"]
