postgres {
  url = env("DATABASE_URL")
}

election "bench" {
  drain = "2s"
}

http {
  listen = "127.0.0.1:0"
}

log {
  level = "warn"
}

topic "bench" {}

handler "bench" {
  topic = "bench"

  webhook {
    url = env("WITNESS")
  }
}
