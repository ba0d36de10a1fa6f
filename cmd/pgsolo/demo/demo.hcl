postgres {
  url = env("DATABASE_URL")
}

election "demo" {
  drain = "2s"
}

http {
  listen = "127.0.0.1:0"
}

log {
  level = "warn"
}

topic "orders" {}

handler "count" {
  topic       = "orders"
  concurrency = 4

  webhook {
    url = "${env("WITNESS")}/event"
  }
}

cron "tick" {
  schedule = "* * * * * *"
  missed   = "all"
  overlap  = "queue" # or else a machine that stalls for a second would leave one out

  webhook {
    url = "${env("WITNESS")}/tick"
  }
}
