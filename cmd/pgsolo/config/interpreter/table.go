package interpreter

import (
	"path"
	"strings"
)

// program is what is known of a program that reads programs: which of its arguments are such.
type program struct {
	code     string   // short options whose value is the text of a program
	longCode []string // and long ones
	file     string   // short options whose value is the file of a program; longFile, too
	longFile []string
	last     string // short options whose value names a program, and all that follows is for that
	valued   string // other short options with a value
	longVal  []string

	shell   bool // the text is the first operand, once an option has said that there is one
	operand int  // the n-th operand is the text of a program; 0: none
	noFile  bool // the first operand is no file of a program
	stdin   bool // without text or file, standard input is the program
	all     bool // any argument may end up in a shell
	options bool // options may follow operands
	open    bool // there are long options that are not listed here, and may have values

	pairs []string // long options with two values

	remedy string
}

const (
	arguments  = `a value is an argument of its own, behind the program: `
	shRemedy   = arguments + `["sh", "-c", "echo \"$1\"", "sh", event.key], or stands in env`
	envRemedy  = "write the value into env, and have the program read it from there"
	textRemedy = "write the value into env, or as an argument behind the program and behind \"--\""
	psqlRemedy = `use the action sql, or a variable: ["psql", "-v", "key=${event.key}", "-f", "file.sql"], with ` +
		`:'key' in the file`
	sshRemedy = "ssh joins its arguments to a line that a shell reads: give the value on standard input"
)

func shell() program {
	return program{shell: true, code: "c", valued: "oO", longVal: []string{"rcfile", "init-file"}, stdin: true,
		longCode: []string{"command"}, remedy: shRemedy}
}

// programs are those that are known by name.
func programs() map[string]program {
	all := map[string]program{
		"python": {code: "c", last: "m", valued: "WX", stdin: true, remedy: arguments +
			`["python3", "-c", "import sys; print(sys.argv[1])", event.key], or stands in env`},
		"perl": {code: "eE", valued: "IMm", stdin: true, remedy: textRemedy},
		"ruby": {code: "e", valued: "IrCE", longVal: []string{"encoding"}, stdin: true, remedy: textRemedy},
		"node": {open: true, code: "ep", longCode: []string{"eval", "print"}, valued: "rC",
			longVal: []string{"require", "import",
				"loader", "experimental-loader", "conditions", "env-file"}, stdin: true, remedy: textRemedy},
		"php": {open: true, code: "rBRE", longCode: []string{"run", "process-begin", "process-code", "process-end"},
			file:     "fF",
			longFile: []string{"file", "process-file"}, valued: "dczSt", longVal: []string{"define", "php-ini"},
			stdin: true, remedy: textRemedy},
		"lua": {code: "e", valued: "l", stdin: true, remedy: textRemedy},
		"awk": {operand: 1, file: "f", longFile: []string{"file"}, valued: "vFilE", code: "e",
			longCode: []string{"source"},
			longVal:  []string{"assign", "field-separator", "include", "load"},
			remedy:   `write the value into env, and ENVIRON["NAME"] into the program`},
		"sed": {operand: 1, code: "e", longCode: []string{"expression"}, file: "f", longFile: []string{"file"},
			valued: "l", options: true, remedy: envRemedy},
		"psql": {code: "c", longCode: []string{"command"}, file: "f", longFile: []string{"file"}, valued: "dvULhpPRFTo",
			longVal: []string{"dbname", "set", "variable", "username", "host", "port", "output", "pset", "log-file"},
			noFile:  true, stdin: true, options: true, remedy: psqlRemedy},
		"mysql": {code: "e", longCode: []string{"execute"}, valued: "uhPDS", longVal: []string{"user", "host", "port",
			"database", "socket"}, noFile: true, stdin: true, options: true, remedy: envRemedy},
		"sqlite": {operand: 2, noFile: true, stdin: true, longCode: []string{"cmd"}, remedy: envRemedy},
		"ssh":    {all: true, remedy: sshRemedy},
		"watch": {all: true, remedy: "watch joins its arguments to a line that a shell reads: write the value " +
			"into env"},
		"parallel": {all: true, remedy: "parallel joins its arguments to a line that a shell reads: write the value " +
			"into env"},
		"su": {shell: false, code: "c", longCode: []string{"command", "session-command"}, valued: "sgGw",
			longVal: []string{"shell", "group", "supp-group"}, noFile: true, stdin: true, options: true,
			remedy: shRemedy},
		"script": {code: "c", longCode: []string{"command"}, valued: "EIOBTo", noFile: true, options: true,
			remedy: envRemedy},
		"at":      {noFile: true, stdin: true, valued: "qft", remedy: envRemedy},
		"batch":   {noFile: true, stdin: true, valued: "qft", remedy: envRemedy},
		"tclsh":   {stdin: true, remedy: textRemedy},
		"expect":  {code: "c", file: "f", valued: "", stdin: true, remedy: textRemedy},
		"pwsh":    {code: "c", longCode: []string{"command"}, all: true, remedy: envRemedy},
		"Rscript": {code: "e", remedy: textRemedy},
		"julia": {open: true, code: "eE", longCode: []string{"eval", "print"}, valued: "LpJ", stdin: true,
			remedy: textRemedy},
		"deno":      {operand: 2, noFile: true, remedy: textRemedy},
		"bun":       {open: true, code: "ep", longCode: []string{"eval", "print"}, remedy: textRemedy},
		"elixir":    {open: true, code: "e", longCode: []string{"eval", "rpc-eval"}, valued: "rS", remedy: textRemedy},
		"erl":       {all: true, remedy: envRemedy},
		"guile":     {code: "c", valued: "Ll", stdin: true, remedy: textRemedy},
		"groovy":    {open: true, code: "e", remedy: textRemedy},
		"osascript": {code: "e", stdin: true, remedy: textRemedy},
		"jq": {operand: 1, file: "f", longFile: []string{"from-file"}, options: true,
			remedy: `give the value as a variable: ["jq", "--arg", "key", event.key, ".[$key]"]`,
			pairs:  []string{"arg", "argjson", "slurpfile", "rawfile"}, longVal: []string{"indent"}},
	}
	for _, name := range strings.Fields("sh bash rbash dash zsh ksh mksh pdksh lksh oksh yash ash posh fish csh tcsh " +
		"osh nu elvish xonsh busybox-sh hush") {
		all[name] = shell()
	}
	all["runuser"] = all["su"]
	for alias, name := range map[string]string{
		"gawk": "awk", "mawk": "awk", "nawk": "awk", "original-awk": "awk", "gsed": "sed", "nodejs": "node",
		"mariadb": "mysql", "autossh": "ssh", "rsh": "ssh", "slogin": "ssh", "dbclient": "ssh",
		"mosh": "ssh", "pypy": "python", "luajit": "lua", "jruby": "ruby", "wish": "tclsh", "sem": "parallel",
		"powershell": "pwsh", "ts-node": "node", "iex": "elixir", "micropython": "python", "gojq": "jq",
	} {
		all[alias] = all[name]
	}
	return all
}

// wrapper is a program that starts another one, which its arguments name.
type wrapper struct {
	skip     int    // operands before the program
	valued   string // short options with a value
	longVal  []string
	code     string // short options whose value is a line that is split or that a shell reads
	longCode []string
	settings bool // NAME=value may stand before the program
}

func wrappers() map[string]wrapper {
	all := map[string]wrapper{
		"env": {settings: true, valued: "uC", longVal: []string{"unset", "chdir"}, code: "S",
			longCode: []string{"split-string"}},
		"timeout": {skip: 1, valued: "ks", longVal: []string{"kill-after", "signal"}},
		"nice":    {valued: "n", longVal: []string{"adjustment"}},
		"ionice":  {valued: "cn", longVal: []string{"class", "classdata"}},
		"chroot":  {skip: 1},
		"taskset": {skip: 1},
		"chrt":    {skip: 1, valued: "TPD"},
		"flock": {skip: 1, valued: "wE", longVal: []string{"timeout", "wait", "conflict-exit-code"}, code: "c",
			longCode: []string{"command"}},
		"stdbuf": {valued: "ioe", longVal: []string{"input", "output", "error"}},
		"sudo": {settings: true, valued: "ugpCThrtUD", longVal: []string{"user", "group", "prompt", "host",
			"chdir"}},
		"doas":    {valued: "uC"},
		"strace":  {valued: "oepsEuPSaIbOX"},
		"time":    {valued: "of"},
		"nsenter": {valued: "t", longVal: []string{"target"}},
		"unshare": {valued: "RwSG", longVal: []string{"root", "wd", "setuid", "setgid"}},
		"setpriv": {longVal: []string{"reuid", "regid", "groups"}},
		"xargs": {valued: "InPLdaEs", longVal: []string{"max-args", "max-procs", "delimiter", "arg-file",
			"max-chars"}},
	}
	for _, name := range strings.Fields("nohup setsid busybox toybox tini dumb-init command exec unbuffer " +
		"systemd-run " +
		"catchsegv cgexec setarch caffeinate") {
		all[name] = wrapper{}
	}
	for _, name := range strings.Fields("gosu su-exec s6-setuidgid chpst faketime") {
		all[name] = wrapper{skip: 1}
	}
	return all
}

// nameOf is the name of a program without its folder and its version.
func nameOf(text string) string {
	name := path.Base(text)
	if _, known := programs()[name]; known {
		return name
	}
	if short := strings.TrimRight(name, "0123456789.-"); short != "" {
		return short
	}
	return name
}
