#!/bin/bash
# Starts Postgres as the official image does: makes the data folder at the first start, from
# POSTGRES_USER, POSTGRES_PASSWORD and POSTGRES_DB, then runs what it is given.
set -euo pipefail
if [ "${1:-postgres}" = postgres ]; then
  [ $# -gt 0 ] || set -- postgres
  : "${PGDATA:=/var/lib/postgresql/data}" "${POSTGRES_USER:=postgres}" "${POSTGRES_DB:=$POSTGRES_USER}"
  export PGDATA
  # A volume's fsGroup opens the folder to the group, and Postgres refuses that.
  [ ! -d "$PGDATA" ] || chmod 0700 "$PGDATA"
  if [ ! -s "$PGDATA/PG_VERSION" ]; then
    [ -n "${POSTGRES_PASSWORD:-}" ] || { echo "POSTGRES_PASSWORD must be set" >&2; exit 1; }
    initdb --username="$POSTGRES_USER" --pwfile=<(printf '%s' "$POSTGRES_PASSWORD") \
      --encoding=UTF8 --locale=C.UTF-8 --auth-local=trust --auth-host=scram-sha-256
    echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
    if [ "$POSTGRES_DB" != postgres ]; then
      pg_ctl --silent --wait --options="-c listen_addresses='' -c unix_socket_directories=/tmp" start
      createdb --host=/tmp --username="$POSTGRES_USER" "$POSTGRES_DB"
      pg_ctl --silent --wait --mode=fast stop
    fi
  fi
fi
exec "$@"
