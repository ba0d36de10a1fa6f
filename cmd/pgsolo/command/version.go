package command

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/web"
)

// version is set by the linker of a release (-X github.com/pgsolo/pgsolo/cmd/pgsolo/command.version=...).
var version = ""

// build says what this binary is.
func build() web.Build {
	b := web.Build{Version: version, Go: runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if b.Version == "" {
		b.Version = info.Main.Version
	}
	if b.Version == "" {
		b.Version = "(devel)"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			b.Revision = s.Value
		}
	}
	return b
}

func versionCommand(s Streams) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			b := build()
			fmt.Fprintf(s.Out, "pgsolo %s %s %s/%s\n", b.Version, b.Go, runtime.GOOS, runtime.GOARCH)
			return nil
		},
	}
}
