// Command pgsolo runs background work in exactly one place: of several replicas against one PostgreSQL database, one leads and
// runs the handlers and cron jobs of config.hcl, and the others stand by. See the README, and `pgsolo help`.
package main

import (
	"os"
	_ "time/tzdata" // a container may have no time zones of its own
)

func main() {
	os.Exit(run(os.Args[1:], terminal{in: os.Stdin, out: os.Stdout, err: os.Stderr}))
}
