package sql

import (
	"strings"
	"unicode/utf8"
)

// outline is what can be said of a statement without a grammar.
type outline struct {
	first    string // the first word or character, in lower case; empty for a statement of white space and comments
	params   int    // the highest n of the parameters $n
	second   int    // the position, in characters from 1, where a second statement begins; 0 for none
	copiesIn bool   // copy … from stdin
}

// scan splits SQL into tokens as PostgreSQL does with its default settings.
func scan(sql string) (found outline) {
	s := scanner{sql: sql}
	depth, ended, previous := 0, false, ""
	for s.skipBlank(); s.at < len(sql); s.skipBlank() {
		begin := s.at
		token := s.token()
		switch {
		case token == ";":
			ended = ended || depth == 0 && found.first != ""
			continue
		case ended && found.second == 0:
			found.second = utf8.RuneCountInString(sql[:begin]) + 1
		case found.first == "":
			found.first = token
		}
		switch token {
		case "(", "[":
			depth++ // in a create rule, statements stand in parentheses
		case ")", "]":
			depth--
		case "atomic":
			if previous == "begin" {
				depth++ // statements up to the end of the body, which is not looked for
			}
		case "stdin":
			found.copiesIn = found.copiesIn || found.first == "copy" && previous == "from"
		}
		found.params = max(found.params, s.param)
		previous = token
	}
	return found
}

// scanner is at a byte of the text.
type scanner struct {
	sql   string
	at    int
	param int // the number of the latest token, if it is a parameter
}

// skipBlank skips white space and comments.
func (s *scanner) skipBlank() {
	for s.at < len(s.sql) {
		rest := s.sql[s.at:]
		switch {
		case strings.IndexByte(" \t\n\r\f\v", rest[0]) >= 0:
			s.at++
		case strings.HasPrefix(rest, "--"):
			if end := strings.IndexAny(rest, "\n\r"); end >= 0 {
				s.at += end
			} else {
				s.at = len(s.sql)
			}
		case strings.HasPrefix(rest, "/*"):
			s.skipComment()
		default:
			return
		}
	}
}

// skipComment skips one with those inside it.
func (s *scanner) skipComment() {
	for depth := 0; s.at < len(s.sql); {
		switch rest := s.sql[s.at:]; {
		case strings.HasPrefix(rest, "/*"):
			depth++
			s.at += 2
		case strings.HasPrefix(rest, "*/"):
			depth--
			s.at += 2
		default:
			s.at++
		}
		if depth == 0 {
			return
		}
	}
}

// token takes one: a word in lower case, the quote with which a literal begins, or a character.
func (s *scanner) token() string {
	s.param = 0
	begin := s.at
	switch char := s.sql[s.at]; {
	case char == '\'', char == '"':
		s.skipQuoted(char, false)
		return string(char)
	case char == '$' && s.dollar():
		return "$"
	case isLetter(char):
		for s.at < len(s.sql) && (isLetter(s.sql[s.at]) || isDigit(s.sql[s.at]) || s.sql[s.at] == '$') {
			s.at++
		}
		word := strings.ToLower(s.sql[begin:s.at])
		if word == "e" && s.at < len(s.sql) && s.sql[s.at] == '\'' {
			s.skipQuoted('\'', true)
			return "'"
		}
		return word
	}
	s.at++
	return s.sql[begin:s.at]
}

// skipQuoted skips what stands in quotes. A doubled quote ends one literal and begins another, which comes to the same.
func (s *scanner) skipQuoted(quote byte, escapes bool) {
	for s.at++; s.at < len(s.sql); s.at++ {
		switch char := s.sql[s.at]; {
		case char == quote && s.at+1 < len(s.sql) && s.sql[s.at+1] == quote:
			s.at++
		case char == quote:
			s.at++
			return
		case char == '\\' && escapes:
			s.at++
		}
	}
	s.at = len(s.sql)
}

// dollar takes a parameter or a literal in dollar quotes, if that is what the dollar sign begins.
func (s *scanner) dollar() bool {
	end := s.at + 1
	for end < len(s.sql) && isDigit(s.sql[end]) {
		s.param = min(10*s.param+int(s.sql[end]-'0'), maxArgs+1)
		end++
	}
	if end > s.at+1 {
		s.at = end
		return true
	}
	for end < len(s.sql) && (isLetter(s.sql[end]) || isDigit(s.sql[end])) {
		end++
	}
	if end == len(s.sql) || s.sql[end] != '$' {
		return false
	}
	tag := s.sql[s.at : end+1]
	if length := strings.Index(s.sql[end+1:], tag); length >= 0 {
		s.at = end + 1 + length + len(tag)
	} else {
		s.at = len(s.sql)
	}
	return true
}

func isLetter(char byte) bool {
	return 'a' <= char && char <= 'z' || 'A' <= char && char <= 'Z' || char == '_' || char >= utf8.RuneSelf
}

func isDigit(char byte) bool { return '0' <= char && char <= '9' }
