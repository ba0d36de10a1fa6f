package interpreter

import (
	"fmt"
	"slices"
	"strings"
)

// scan goes through the arguments of a program that reads programs.
type scan struct {
	program
	name    string
	command []Arg
	input   bool
	sure    bool

	hasText  bool // a program was found: as text, or as a file
	pending  bool // a shell's next operand is its text
	operands int
	asInput  bool // an option says that standard input is the program
	unsure   bool // the latest option may have a value that is no operand
	ended    bool // options have, by --
}

func (s *scan) run(at int) *Problem {
	for ; at < len(s.command); at++ {
		arg := s.command[at]
		if s.all {
			if arg.Foreign {
				return s.text(at)
			}
			continue
		}
		if !s.ended && !arg.Foreign && (arg.Text == "--" || s.shell && arg.Text == "-") {
			s.ended = true
			continue
		}
		var (
			found *Problem
			done  bool
		)
		if !s.ended && len(arg.Text) > 1 && (arg.Text[0] == '-' || s.shell && arg.Text[0] == '+') {
			at, found, done = s.option(at)
		} else {
			found, done = s.other(at)
		}
		if found != nil || done {
			return found
		}
	}
	if s.pending || s.hasText || !s.stdin || !s.input || !s.sure || s.operand > 0 && s.operands >= s.operand {
		return nil
	}
	return &Problem{0, fmt.Sprintf("Without the text or the file of a program, %s takes standard input for it, "+
		"which is "+
		"the payload of the event", s.name)}
}

// option takes an option, and its value.
func (s *scan) option(at int) (next int, found *Problem, done bool) {
	arg := s.command[at]
	if strings.HasPrefix(arg.Text, "--") || slices.Contains(s.longCode, arg.Text[1:]) {
		return s.longOption(at)
	}
	letter, attached := shortOption(arg.Text, s.code+s.file+s.last+s.valued)
	if s.shell && letter == "c" { // its text is the next operand, whatever letters follow
		if arg.Foreign {
			return at, s.text(at), true
		}
		s.pending = true
		if strings.ContainsAny(arg.Text, "oO") {
			at++
		}
		return at, nil, false
	}
	if s.shell && strings.Contains(arg.Text, "s") && letter == "" {
		s.asInput = true
	}
	if letter == "" {
		if arg.Foreign {
			return at, s.choice(at), true
		}
		return at, nil, false
	}
	return s.value(at, attached || arg.Foreign, strings.Contains(s.code, letter), strings.Contains(s.file, letter),
		strings.Contains(s.last, letter))
}

func (s *scan) longOption(at int) (next int, found *Problem, done bool) {
	arg := s.command[at]
	name, _, attached := strings.Cut(strings.TrimLeft(arg.Text, "-"), "=")
	code, file := slices.Contains(s.longCode, name), slices.Contains(s.longFile, name)
	switch {
	case arg.Foreign && !attached:
		return at, s.choice(at), true
	case code && s.shell && !attached:
		s.pending = true
		return at, nil, false
	case code || file || attached || slices.Contains(s.longVal, name):
		return s.value(at, attached, code, file, false)
	}
	if slices.Contains(s.pairs, name) {
		return at + 2, nil, false
	}
	s.unsure = s.open
	return at, nil, false
}

// value takes the value of an option, in the same argument or in the next one.
func (s *scan) value(at int, attached, code, file, last bool) (next int, found *Problem, done bool) {
	if code && attached && !s.command[at].Foreign { // or the rest are options, as in node -pe
		attached = at+1 >= len(s.command) || !s.command[at+1].Foreign
	}
	if !attached {
		at++
	}
	foreign := at < len(s.command) && s.command[at].Foreign
	switch {
	case code && foreign:
		return at, s.text(at), true
	case (file || last) && foreign:
		return at, s.choice(at), true
	}
	s.hasText = s.hasText || code || file || last
	// What follows is for the program: of Python's own options none may.
	return at, nil, last || code && s.name == "python"
}

// other takes what is no option, or may be one.
func (s *scan) other(at int) (found *Problem, done bool) {
	arg := s.command[at]
	if arg.Foreign {
		return s.foreign(at), false
	}
	if s.pending {
		return nil, true // the text of a shell's program, and its arguments follow
	}
	if s.unsure {
		s.unsure = false
		return nil, false
	}
	s.operands++
	isText := s.operand > 0 && s.operands == s.operand && !s.hasText
	if arg.Text == "-" && !s.noFile && s.operand == 0 && !s.hasText {
		return nil, false // standard input is the program
	}
	if isText || !s.noFile && s.operand == 0 && !s.asInput {
		s.hasText = true
		return nil, !s.options
	}
	return nil, false
}

// foreign says what data of others would be as an operand.
func (s *scan) foreign(at int) *Problem {
	switch {
	case s.pending || s.operand > 0 && s.operands+1 == s.operand && !s.hasText:
		return s.text(at)
	case s.hasText && s.ended:
		return nil
	case s.command[at].Text != "" && (s.hasText || s.noFile): // no option
		s.operands++
		return nil
	case s.hasText && s.options && s.operands > 0:
		return nil
	}
	return s.choice(at)
}

func (s *scan) text(at int) *Problem {
	return &Problem{at, fmt.Sprintf("The program %s reads this text as a program, and an event's data in it, too: %s",
		s.name, s.remedy)}
}

// choice is about an argument that could be an option or a file. It is no mistake where the program may be another one.
func (s *scan) choice(at int) *Problem {
	if !s.sure {
		return nil
	}
	if s.hasText {
		return &Problem{at, fmt.Sprintf("The program %s would take an event's data for an option if it looked "+
			"like one: "+
			`write "--" before it`, s.name)}
	}
	return &Problem{at, fmt.Sprintf("The program %s would take an event's data for an option or for the file of a "+
		"program: %s", s.name, s.remedy)}
}
