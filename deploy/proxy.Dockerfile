# The proxy alone, in front of a Triton that runs elsewhere.
FROM python:3.12-slim-bookworm

COPY requirements/proxy.txt /tmp/proxy.txt
RUN python -m pip install --no-cache-dir --require-hashes --requirement /tmp/proxy.txt
COPY client/visavis_client /app/visavis_client
COPY proxy/visavis_proxy /app/visavis_proxy
COPY server/visavis_server /app/visavis_server
ENV PYTHONPATH=/app PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
# Keys and, without Redis, templates: for this user's eyes alone; it has no home to keep them in.
ENV VISAVIS_DATA_DIR=/data
RUN install --directory --owner 10001 --group 10001 --mode 0700 /data
USER 10001:10001
EXPOSE 8080
ENTRYPOINT ["python", "-m", "visavis_server", "serve"]
