package config

import (
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/config/block"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/config/interpreter"
	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/exec"
)

func execKind() actionKind { return actionKind{name: "exec", bind: bindExec} }

func bindExec(with tools) boundAction {
	command := exec.Command{Logger: with.logger}
	var programs []string // of which one will be started
	return boundAction{
		arguments: []block.Argument{
			{
				Name: "command", Field: "Args", Required: true, Value: commandLine(&command.Args, &programs),
				Example: `command = ["/bin/sh", "-c", "cat"]`,
			},
			{Name: "env", Field: "Env", Value: ownNames(
				block.StringMap(&command.Env, checkVariableName), interpreter.IsDangerous,
				"Programs read this variable as code or as the place of code: an event must not set it.")},
			{Name: "dir", Field: "Dir", Value: folder(&command)},
		},
		validate: func() error {
			for _, program := range programs {
				alternative := command
				alternative.Args = []string{program}
				if err := alternative.Validate(); err != nil {
					return err
				}
			}
			return command.Validate()
		},
		assume: func(waits func(string) bool) {
			if len(command.Args) == 0 {
				command.Args = []string{block.NotKnown}
			}
			program := command.Args[0]
			if waits("dir") { // then programs that are beside it are not looked for
				programs = slices.DeleteFunc(programs, inFolder)
			}
			inDir := inFolder(program) && waits("dir")
			if program == block.NotKnown || inDir {
				command.Args[0] = "/bin/sh"
			}
		},
		run: func() jobs.Action { return command.Run },
	}
}

func inFolder(program string) bool {
	return strings.Contains(program, "/") && !strings.HasPrefix(program, "/")
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

// folder takes the folder of a command. It must not say which program that is.
func folder(command *exec.Command) block.Value {
	decode := block.String(&command.Dir, block.NotEmpty)
	return func(d *block.Decoder, attr *hclsyntax.Attribute) {
		flow := flowOf(d)
		if !flow.Final() && flow.Foreign(attr.Expr) && len(command.Args) > 0 && inFolder(command.Args[0]) {
			d.Report("Event in dir", attr.Expr.Range(), "The program is looked for in this folder, and which one is "+
				"started is decided when the configuration is loaded. Write its whole path into command.")
			return
		}
		decode(d, attr)
	}
}
