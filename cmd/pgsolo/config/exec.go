package config

import (
	"strings"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/config/block"
	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/exec"
)

func execKind() actionKind { return actionKind{name: "exec", bind: bindExec} }

func bindExec(with tools) boundAction {
	command := exec.Command{Logger: with.logger}
	return boundAction{
		arguments: []block.Argument{
			{
				Name: "command", Field: "Args", Required: true, Value: block.Strings(&command.Args, checkCommand),
				Example: `command = ["/bin/sh", "-c", "cat"]`,
			},
			{Name: "env", Field: "Env", Value: block.StringMap(&command.Env, checkVariableName)},
			{Name: "dir", Field: "Dir", Value: block.String(&command.Dir, block.NotEmpty)},
		},
		validate: func() error { return command.Validate() },
		assume: func(waits func(string) bool) {
			if len(command.Args) == 0 {
				command.Args = []string{block.NotKnown}
			}
			program := command.Args[0]
			inDir := strings.Contains(program, "/") && !strings.HasPrefix(program, "/") && waits("dir")
			if program == block.NotKnown || inDir {
				command.Args[0] = "/bin/sh"
			}
		},
		run: func() jobs.Action { return command.Run },
	}
}

func checkCommand(args []string) string {
	if len(args) == 0 || args[0] == "" {
		return `The command is empty. Its first element is the program: ["/usr/local/bin/report", "--verbose"].`
	}
	return ""
}

func checkVariableName(name string) string {
	if name == "" || strings.ContainsAny(name, "=\x00") {
		return "The name of an environment variable is not empty and has no equals sign."
	}
	return ""
}
