// Command pgsolo runs background work in exactly one place: of several replicas against one PostgreSQL database, one
// leads and runs the handlers and cron jobs of config.hcl, and the others stand by. See the README, and `pgsolo help`.
package main

import (
	"os"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/command"
)

func main() {
	os.Exit(command.Run(os.Args[1:], command.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
}
