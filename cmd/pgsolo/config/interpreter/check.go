package interpreter

import (
	"slices"
	"strings"
)

// Arg is an element of a command. Of one that has data of others in it, Text is what stands before that.
type Arg struct {
	Text    string
	Foreign bool
}

// Problem is an element that others would write a program with.
type Problem struct {
	Index int // of the element
	Text  string
}

// Check looks for data of others where a program would read it as a program, or would be chosen by it. Input is what
// comes on standard input: data of others, or nothing.
func Check(command []Arg, input bool) *Problem {
	return check(command, 0, input, true)
}

// check begins at an element. Sure: that is a program which is started.
func check(command []Arg, at int, input, sure bool) *Problem {
	if at >= len(command) {
		return nil
	}
	if command[at].Foreign {
		return &Problem{at, "Which program is started is decided when the configuration is loaded: an event must not " +
			"name it"}
	}
	name := nameOf(command[at].Text)
	named := func(arg Arg) bool { return arg.Text == "-u" || strings.HasPrefix(arg.Text, "--user") }
	if name == "runuser" && slices.ContainsFunc(command[at:], named) { // then it takes a command, and else a line
		return wrapper{valued: "ugGs"}.check(name, command, at+1, input)
	}
	if known, ok := programs()[name]; ok {
		s := scan{program: known, name: name, command: command, input: input, sure: sure}
		return s.run(at + 1)
	}
	if known, ok := wrappers()[name]; ok {
		return known.check(name, command, at+1, input)
	}
	for i := at + 1; i < len(command); i++ { // such as docker exec app sh -c …
		if strings.HasPrefix(command[i].Text, "-exec") || strings.HasPrefix(command[i].Text, "-ok") { // of find
			if i+1 < len(command) && command[i+1].Foreign {
				return check(command, i+1, false, true)
			}
		}
		if _, ok := programs()[nameOf(command[i].Text)]; ok && !command[i].Foreign {
			return check(command, i, false, false)
		}
	}
	return nil
}

// check finds the program that a wrapper starts.
func (w wrapper) check(name string, command []Arg, at int, input bool) *Problem {
	skip, replace := w.skip, ""
	for ; at < len(command); at++ {
		arg := command[at]
		option, value, isLong := strings.Cut(strings.TrimPrefix(arg.Text, "--"), "=")
		switch {
		case arg.Text == "--" && !arg.Foreign:
			continue
		case strings.HasPrefix(arg.Text, "--"):
			if slices.Contains(w.longCode, option) {
				if found := line(name, command, at, isLong); found != nil {
					return found
				}
			}
			if name == "xargs" && option == "replace" {
				if replace = value; !isLong {
					replace = "{}"
				}
			}
			if !isLong && slices.Contains(slices.Concat(w.longVal, w.longCode), option) {
				at++
			}
		case strings.HasPrefix(arg.Text, "-") && arg.Text != "-":
			letter, attached := shortOption(arg.Text, w.valued+w.code)
			if strings.Contains(w.code, letter) && letter != "" {
				if found := line(name, command, at, attached); found != nil {
					return found
				}
			}
			if name == "xargs" && letter == "I" {
				if _, replace, _ = strings.Cut(arg.Text, "I"); !attached && at+1 < len(command) {
					replace = command[at+1].Text
				}
			}
			if name == "xargs" && strings.HasPrefix(arg.Text, "-i") {
				if replace = arg.Text[2:]; replace == "" {
					replace = "{}"
				}
			}
			if letter != "" && !attached {
				at++
			}
		case w.settings && strings.Contains(arg.Text, "="):
			if setting, _, _ := strings.Cut(arg.Text, "="); arg.Foreign && IsDangerous(setting) {
				return &Problem{at, "Programs read " + setting + " as code or as the place of code: an event " +
					"must not set it"}
			}
		case skip > 0:
			skip--
		default:
			if name == "xargs" && input {
				return check(withInput(command, at, replace), at, false, true)
			}
			return check(command, at, input, true)
		}
	}
	return nil
}

// line checks the value of an option that is a command line.
func line(name string, command []Arg, at int, attached bool) *Problem {
	if !attached {
		at++
	}
	if at < len(command) && command[at].Foreign {
		return &Problem{at, "The program " + name + " makes a command of this text, and would read an event's " +
			"data in " +
			"it as a part of that"}
	}
	return nil
}

// withInput is the command of xargs with what it takes from standard input: in the place of a text, or behind the rest.
func withInput(command []Arg, at int, replace string) []Arg {
	command = slices.Clone(command)
	if replace == "" {
		return append(command, Arg{Foreign: true})
	}
	for i := at; i < len(command); i++ {
		if before, _, found := strings.Cut(command[i].Text, replace); found {
			command[i] = Arg{Text: before, Foreign: true}
		}
	}
	return command
}

// shortOption is the first letter of a group of short options that takes a value, and whether that follows in the same
// argument.
func shortOption(text, valued string) (letter string, attached bool) {
	for i, r := range text[1:] {
		if strings.ContainsRune(valued, r) {
			return string(r), len(text) > i+2
		}
	}
	return "", false
}

// IsDangerous says whether the value of an environment variable can have a program run something else.
func IsDangerous(name string) bool {
	if slices.Contains(strings.Fields("PATH IFS ENV BASH_ENV SHELL SHELLOPTS BASHOPTS PS4 PROMPT_COMMAND CDPATH "+
		"PERL5OPT PERL5LIB PERLLIB PERL5DB RUBYOPT RUBYLIB NODE_OPTIONS NODE_PATH JAVA_TOOL_OPTIONS _JAVA_OPTIONS "+
		"JDK_JAVA_OPTIONS CLASSPATH PHPRC PHP_INI_SCAN_DIR LUA_PATH LUA_CPATH LUA_INIT AWKPATH AWKLIBPATH EDITOR "+
		"VISUAL "+
		"PAGER LESSOPEN LESSCLOSE MANPAGER BROWSER HOME TMPDIR ZDOTDIR PSQLRC PGPASSFILE PGSERVICEFILE MAKEFLAGS "+
		"TERMINFO OPENSSL_CONF LOCPATH GCONV_PATH NLSPATH HOSTALIASES"), name) {
		return true
	}
	for _, prefix := range []string{"LD_", "DYLD_", "GIT_", "PYTHON", "BASH_FUNC_", "SSH_"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}
