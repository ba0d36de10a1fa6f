package config

import (
	"context"
	"net/http"
	"strings"

	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/exec"
	"github.com/pgsolo/pgsolo/jobs/webhook"
)

// actionKind is one kind of block that says what a handler or a cron job does.
type actionKind struct {
	name string

	// needsSession: the action runs in the transaction of an event of the log, by runTx, and elsewhere on one of tools.sessions.
	needsSession bool

	// decode binds the arguments of the block to an action. After the arguments are decoded, validate says what is wrong with
	// the whole, naming a field of the action's struct, and run does it.
	decode func(*decoder, tools) boundAction
}

type boundAction struct {
	arguments []argument
	validate  func() error
	run       func() jobs.Action
	runTx     func() func(context.Context, pgx.Tx) error // nil: the action does not need a session

	// What validate says may always be printed: it repeats no value.
	discreet bool
}

// tools are what actions share.
type tools struct {
	logger hclog.Logger // nil: none
	client *http.Client

	sessions *pgxpool.Pool
}

// actionKinds is the table of actions: a new kind is a package below jobs, one line here, and its decode function.
func actionKinds() []actionKind {
	return []actionKind{
		{name: "exec", decode: decodeExec},
		{name: "webhook", decode: decodeWebhook},
		{name: "sql", decode: decodeSQL, needsSession: true},
	}
}

func decodeExec(d *decoder, tools tools) boundAction {
	command := exec.Command{Logger: tools.logger}
	return boundAction{
		arguments: []argument{
			{name: "command", field: "Args", required: true, example: `command = ["/bin/sh", "-c", "cat"]`, decode: d.texts(&command.Args, checkCommand)},
			{name: "env", field: "Env", decode: d.textMap(&command.Env, checkVariableName)},
			{name: "dir", field: "Dir", decode: d.text(&command.Dir, notEmpty)},
		},
		validate: func() error { return command.Validate() },
		run:      func() jobs.Action { return command.Run },
	}
}

func decodeWebhook(d *decoder, tools tools) boundAction {
	request := webhook.Request{Client: tools.client}
	return boundAction{
		arguments: []argument{
			{name: "url", field: "URL", required: true, example: `url = "https://example.com/path"`, decode: d.text(&request.URL, checkWebURL)},
			{name: "method", field: "Method", decode: d.text(&request.Method, checkMethod)},
			{name: "headers", field: "Headers", decode: d.textMap(&request.Headers, checkHeaderName)},
			{name: "secret", field: "Secret", decode: d.text(&request.Secret, notEmpty)},
		},
		validate: func() error { return request.Validate() },
		run:      func() jobs.Action { return request.Send },
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

func checkHeaderName(name string) string {
	if name == "" || strings.ContainsFunc(name, func(r rune) bool { return !isNameRune(r) && !strings.ContainsRune("!#$%&'*+^`|~", r) }) {
		return "The name of a header has letters, digits and - only."
	}
	return ""
}

// checkMethod allows the methods of RFC 9110 that carry a body or an effect, and GET.
func checkMethod(given text) string {
	return oneOf("GET", "POST", "PUT", "PATCH", "DELETE")(given)
}
