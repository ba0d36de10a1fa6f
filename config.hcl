# The reference configuration of pgsolo: every block and every argument that exists, with its default. To begin, copy
# it, set DATABASE_URL, and remove what you do not need. Only the block postgres is required. `pgsolo validate` checks a
# file.
#
# Durations are strings with units: "900ms", "30s", "1h30m". Functions: env(name) and env(name, default), file(path),
# whose relative paths begin in the folder of this file, format, hostport(host, port), which puts an IPv6 address into
# brackets, join, jsonencode, lower, upper, raw and urlencode for URLs, and try(a, b), which is b where a has no value:
# try(event.payload.note, "").

postgres {
  url    = env("DATABASE_URL")      # required: postgres://…, a direct connection: a transaction pooler is refused
  schema = "pgsolo"                 # default: where `pgsolo migrate` makes the tables
  notify = true                     # default; false: no NOTIFY; polling finds new events, within 5 ms to 1 s

  # How long an election has to be led without a handler, a topic, a retention or a cron job that an earlier leader had,
  # until that is forgotten: during a deploy an older configuration may lead for a moment. "0s": at once.
  forget_after = "24h"              # default

  # Default: a fifth of what the server accepts, at least 5; 20 where it cannot be asked. How many sessions this process
  # has at most: one for each election and two more to stand by, one more to lead, and then as many as there is work
  # for. Where events or ticks wait for one, that is where to raise it.
  max_sessions = 20
}

# Several elections have a leader each, which may be different replicas: for handlers and cron jobs that need not run in
# one process. Those that do not name one belong to the first.

election "main" {                   # replicas compete under this name; default: one election, named "main"
  lease         = "5s"              # default; 1s to 1m: the server ends a leader that is silent this long
  poll_interval = "900ms"           # default; 10ms to below 1s: a poll of a standby waits this long in the lock queue
  drain         = "20s"             # default; 0s or more: how long running work may go on after SIGTERM
}

http {
  listen = ":8080"                  # default: health, status and metrics

  # Default: any. Else requests that ask for another name get 421; an IP address, as of a probe, is always right.
  hosts = []

  # Default: derived from listen. Where others reach this replica.
  advertise = "http://${hostport(env("POD_IP", "127.0.0.1"), 8080)}"
}

log {
  level  = "info"                   # default; trace | debug | info | warn | error
  format = "text"                   # default; text | json
}

# A topic is durable: rows in the event log, each handled at least once. An event of a topic that no configuration names
# is refused, with a list of those that there are, unless there is a topic "*": it stands for every other one.

topic "orders" {
  retention = "72h"                 # default: for ever; an event is kept this long, longer while a handler is not done
}

topic "*" {
  retention   = "24h"
  max_payload = "64MB"              # of an event with its headers, before it is compressed; 16MB if left out
}

# A handler has one source, topic or channel, and one action, exec, webhook or sql. It is told of each event by the
# action: through environment variables and standard input, or through headers and body, or through parameters.
# Arguments of an action may also use event.id, topic, channel, key, payload (decoded if it is JSON), headers,
# created_at, attempt, term and idempotency_key. What a producer has filled in, key, payload and headers, is data: it
# may not stand in the text of a program ("sh -c"), before the path of a URL, or as a name.

handler "print" {
  topic       = "orders"            # a declared topic
  election    = "main"              # default: the first
  start       = "earliest"          # default; earliest | latest: where a new handler begins in the log
  order       = "none"              # default; none | key: events with one key one at a time, in order
  on_dead     = "continue"          # default; continue | block_key, with order = "key": a dead letter holds up its key
  concurrency = 1                   # default: how many events at a time
  timeout     = "30s"               # default: of one attempt

  retry {                           # for events of a topic; the n-th retry waits min(max_backoff, backoff * 2^(n-1))
    attempts    = 10                # default; in all: after the last one the event is a dead letter
    backoff     = "1s"              # default
    max_backoff = "1h"              # default
    jitter      = 0.1               # default; 0 to below 1: each wait is up to this fraction shorter or longer
  }

  exec {                            # runs a program without a shell; exit status 0 is success
    command = ["/bin/sh", "-c", "cat; echo \"$1\"", "sh", event.key]
    env     = { ORDER_KEY = event.key, REGION = "eu" } # default: none; added to the program's environment
    dir     = "/"                   # default: the working directory of pgsolo
  }
}

handler "receipt" {
  topic = "orders"

  # Default: all events. It may use event.id, topic, channel, key, payload, headers and created_at. What it cannot
  # evaluate is a failed attempt.
  when        = try(event.payload.status, "") == "paid"
  order       = "key"
  on_dead     = "block_key"
  concurrency = 8
  rate_limit  = "100/s"             # default: none; attempts per second (s), minute (m) or hour (h), evenly spread

  breaker {                         # default: none; pauses the handler while its target is down
    failures  = 5                   # required: after so many failed attempts in a row
    pause     = "1s"                # default; then one event is tried; if it fails, the pause doubles,
    max_pause = "1m"                # default: up to this
  }

  webhook {                         # sends an HTTP request with the payload as its body; a status of 2xx is success
    # A value is percent-encoded; raw(event.key) stands as it is, in a path or a query.
    url     = "${env("RECEIPTS_URL", "http://127.0.0.1:9000/receipts")}/${event.key}?id=${event.id}"
    method  = "POST"                # default; GET | POST | PUT | PATCH | DELETE
    headers = { "x-attempt" = event.attempt }                # default: none

    # Default: none. Signs by Standard Webhooks. From a file: file("/run/secrets/receipts")
    secret = env("RECEIPTS_SECRET", "for development only")
  }
}

handler "totals" {
  topic       = "orders"
  concurrency = 4                   # at most 32 with sql: each holds a session of PostgreSQL

  # One statement in the database of postgres.url. For an event of a topic it happens exactly once: it runs in the
  # transaction that marks the event as done. For a channel and for a cron job it runs by itself, at most 16 of a
  # process at a time. What it sets for its session, with set_config('app.tenant', $1, false) for example, reaches no
  # other handler or job; "true" instead sets it for the transaction alone.
  sql {
    statement = "insert into order_total (id, amount) values ($1, $2) on conflict (id) do update set amount = $2"
    args      = [event.payload.id, event.payload.amount] # default: none; any type, null too; lists, objects as JSON
  }
}

handler "cache" {
  channel = "cache_invalidate"      # plain NOTIFY: at most once, never retried, for producers that cannot write a table

  exec {
    command = ["/bin/sh", "-c", "cat > /dev/null"]
  }
}

# A cron job has a schedule and one action. Each tick is started at most once, whatever happens to leaders, unless
# on_interrupt or retry says otherwise. The action is told of its run as a handler's is of an event; its arguments may
# use run.job, scheduled_at, catch_up, manual, attempt, term and idempotency_key. `pgsolo validate` shows the next ticks
# of each job.

cron "heartbeat" {
  election  = "main"                # default: the first
  schedule  = "*/5 * * * *"         # required: five fields, six with seconds first, @daily, "@every 10s"; or a list
  time_zone = "UTC"                 # default
  enabled   = true                  # default; false: it runs only when it is triggered
  timeout   = "1h"                  # default: of one attempt

  missed            = "once"        # default; skip | once | all: which ticks of a time without leader are made up for
  starting_deadline = "1h"          # default: how late a tick may still start
  overlap           = "skip"        # default; skip | queue | replace | allow: what a tick does while a run goes on
  on_interrupt      = "abandon"     # default; abandon | retry: what becomes of a run that the end of its leader cut off

  history {                         # which ended runs are kept
    runs           = 100            # default; or "unlimited": so many successes and replaced ones, and as many skips
    max_age        = "720h"         # default; or "unlimited": and for how long
    failed_runs    = 100            # default; the same for those that failed, were interrupted or missed
    failed_max_age = "2160h"        # default
  }

  exec {
    command = ["/bin/echo", "tick", run.scheduled_at]
  }
}

cron "purge_sessions" {
  schedule = "*/5 * * * *"
  timeout  = "2m"                   # then the server cancels the statement

  sql {
    # The type of a parameter is what PostgreSQL makes of the statement, which may need a cast.
    statement = "delete from session where expires_at < $1::timestamptz - interval '1 day'"
    args      = [run.scheduled_at]
  }
}

cron "report" {
  schedule  = ["0 6 * * mon-fri", "0 9 * * sat,sun"] # a time that several name is one tick
  time_zone = "Europe/Berlin"       # a time that the clocks skip runs right after, one that comes twice the first time
  jitter    = "10m"                 # default: none; starts are later by a part of it, always the same for one name
  timeout   = "10m"

  missed       = "all"              # each missed tick within starting_deadline, one after the other
  max_catch_up = 1000               # default; with missed = "all": at most so many, the latest ones

  retry {                           # default: a run that failed is not tried again. With the block, as in a handler:
    attempts    = 10                # default
    backoff     = "1s"              # default
    max_backoff = "1h"              # default
    jitter      = 0.1               # default
  }

  exec {
    command = ["/bin/sh", "-c", "date"]
  }
}
