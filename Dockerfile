# pgbraid, built and run on Debian 12. docker-compose.yml runs it in front of three PostgreSQL servers.
FROM debian:12-slim AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends \
    gcc libc6-dev cmake ninja-build pkg-config libpg-query-dev libprotobuf-c-dev libevent-dev libpq-dev \
    libsqlite3-dev libssl-dev libgsasl-dev libinih-dev \
 && rm -rf /var/lib/apt/lists/*
COPY . /src
RUN cmake -S /src -B /build -G Ninja && ninja -C /build pgbraid

FROM debian:12-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends \
    libpg-query1504.0 libevent-core-2.1-7 libpq5 libsqlite3-0 libssl3 libgsasl18 libinih1 postgresql-client-15 \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --home-dir /var/lib/pgbraid --create-home pgbraid
COPY --from=build /build/pgbraid /usr/local/bin/pgbraid
COPY docker/entrypoint.sh /usr/local/bin/pgbraid-entrypoint
COPY docker/pgbraid.conf /etc/pgbraid/pgbraid.conf
COPY docker/pg_hba.conf /etc/pgbraid/pg_hba.conf
USER pgbraid
VOLUME /var/lib/pgbraid
EXPOSE 6432
ENTRYPOINT ["/usr/local/bin/pgbraid-entrypoint"]
CMD ["serve", "-c", "/etc/pgbraid/pgbraid.conf"]
