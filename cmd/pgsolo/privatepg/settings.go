package privatepg

import (
	"fmt"
	"maps"
	"regexp"
	"slices"

	"github.com/hashicorp/go-hclog"
)

// settingName is what PostgreSQL allows, with a dot in the names of extensions.
var settingName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*(\.[a-zA-Z_][a-zA-Z0-9_]*)?$`)

// settings returns the arguments for postgres, in a stable order.
func (o Options) settings(tcp bool) ([]string, error) {
	all := map[string]string{
		"listen_addresses": "",
		"timezone":         "UTC",
		"log_timezone":     "UTC",
		"max_connections":  "200",
		"shared_buffers":   "32MB",
		// The log is a file in a folder of its own; it needs no collector, whatever a packager's default.
		"logging_collector": "off",
	}
	if tcp {
		all["listen_addresses"] = "127.0.0.1"
		all["unix_socket_directories"] = ""
	}
	if o.Dir == "" {
		// A crash of the machine may lose all of it. synchronous_commit stays on: the order in which commits become
		// visible and return to the client is that of production.
		all["fsync"] = "off"
		all["full_page_writes"] = "off"
		all["max_wal_size"] = "256MB"
		// Shared memory of parallel queries is a file in the data folder, and goes away with it after a SIGKILL too.
		all["dynamic_shared_memory_type"] = "mmap"
	}
	for name, value := range o.Settings {
		if !settingName.MatchString(name) {
			return nil, fmt.Errorf("check Options.Settings: %q is not the name of a setting", name)
		}
		all[name] = value
	}
	var args []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		args = append(args, "-c", name+"="+all[name])
	}
	return args, nil
}

func (o Options) logger() hclog.Logger {
	if o.Logger == nil {
		return hclog.NewNullLogger()
	}
	return o.Logger
}
