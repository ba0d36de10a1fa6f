// Package mask finds secrets in a file of HCL by their names and by their forms.
package mask

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// Source replaces secrets that are written into the source by as many asterisks, and lists them: the literals of an
// argument, a variable or a header with such a name, all values of headers, what follows such a word within a string or
// as the next argument, the user and password of a URL and the values of its query, and signing secrets. It works on
// tokens and on the text, since a file with a syntax error has to be masked too.
//
// Everything keeps its position.
func Source(src []byte) (masked []byte, secrets []string) {
	masked = bytes.Clone(src)
	hide := func(from, to int) {
		if from < 0 || from >= to {
			return
		}
		secrets = append(secrets, template.Split(string(src[from:to]), -1)...)
		for i := from; i < to; i++ {
			if src[i] != '\n' && src[i] != '\r' {
				masked[i] = '*'
			}
		}
	}
	tokens, _ := hclsyntax.LexConfig(src, "", hcl.InitialPos)
	var owners owners
	for i, token := range tokens {
		owners.see(tokens, i)
		switch token.Type {
		case hclsyntax.TokenQuotedLit, hclsyntax.TokenStringLit:
			if owners.secret(tokens, i) {
				hide(token.Range.Start.Byte, token.Range.End.Byte)
			}
			search(token.Bytes, token.Range.Start.Byte, withinStrings, hide)
		case hclsyntax.TokenComment:
			search(token.Bytes, token.Range.Start.Byte, withinStrings, hide)
		case hclsyntax.TokenOQuote:
			hideParts(tokens[i:], hide)
		}
	}
	search(src, 0, anywhere, hide)
	return masked, secrets
}

func search(text []byte, at int, patterns []*regexp.Regexp, hide func(from, to int)) {
	for _, pattern := range patterns {
		for _, match := range pattern.FindAllSubmatchIndex(text, -1) {
			hide(at+match[2], at+match[3])
		}
	}
}

const secretName = `(?:secret|token|passw|pwd|credential|private|signature|authorization|api[_-]?key|` +
	`access[_-]?key|cookie)`

// Patterns with the secret as their only group: for the whole file, and for literals and comments.
var (
	anywhere = []*regexp.Regexp{
		regexp.MustCompile(`(?i)` + secretName + `[\w-]*"?\s*[=:]\s*"((?:[^"\\\n]|\\.)*)`),
		regexp.MustCompile(`(?i)https?://([^/\s"?#]*)@`), // whose user is often a token; PostgreSQL's is a role
		regexp.MustCompile(`://[^:/@\s"]*:((?:[^"\\\n$]|\\.|\$[^{"\n])*)@`),
	}
	withinStrings = []*regexp.Regexp{
		regexp.MustCompile(`(?i)` + secretName + `[\w-]*\s*[=:]\s*((?:\\"(?:[^"\\\n]|\\[^"\n])*\\"|` +
			`'(?:[^'\\\n]|\\.)*'|(?:Bearer |Basic )?[^"'&\s,;]+))`),
		regexp.MustCompile(`(?i)\b(?:Bearer|Basic)\s+([^"'\s]+)`),
		regexp.MustCompile(`(whsec_[^"'\s&,;]+)`),
	}
)

// Looks says whether a computed value has what would be hidden if it were written out.
func Looks(value string) bool {
	source := []byte("x = " + strconv.Quote(value) + "\n")
	masked, _ := Source(source)
	return !bytes.Equal(masked, source)
}

var (
	isVariable = regexp.MustCompile(`^[A-Z][A-Z0-9_]*$`)
	isPath     = regexp.MustCompile(`[/.]`)
	template   = regexp.MustCompile(`[$%]\{[^}]*\}`)
)

var isSecretName = regexp.MustCompile(`(?i)` + secretName)

// owners are the names that a token stands under: of the argument, and of the keys of objects further in.
type owners struct {
	names []string // one for each bracket, the latest key in it; the first one is of the block
}

func (o *owners) see(tokens hclsyntax.Tokens, i int) {
	if len(o.names) == 0 {
		o.names = []string{""}
	}
	last := len(o.names) - 1
	switch token := tokens[i]; token.Type {
	case hclsyntax.TokenOBrace, hclsyntax.TokenOBrack, hclsyntax.TokenTemplateInterp, hclsyntax.TokenTemplateControl:
		o.names = append(o.names, "")
	case hclsyntax.TokenOParen:
		called := ""
		if i > 0 && tokens[i-1].Type == hclsyntax.TokenIdent {
			called = string(tokens[i-1].Bytes) + "("
		}
		o.names = append(o.names, called)
	case hclsyntax.TokenCBrace, hclsyntax.TokenCBrack, hclsyntax.TokenCParen, hclsyntax.TokenTemplateSeqEnd:
		if last > 0 {
			o.names = o.names[:last]
		}
	case hclsyntax.TokenEqual:
		o.names[last] = keyBefore(tokens, i)
	case hclsyntax.TokenColon: // of an object, not of a conditional
		if o.names[last] == "" {
			o.names[last] = keyBefore(tokens, i)
		}
	case hclsyntax.TokenNewline, hclsyntax.TokenComma:
		o.names[last] = ""
	}
}

// keyBefore is the name before an equals sign or a colon.
func keyBefore(tokens hclsyntax.Tokens, i int) string {
	for i--; i >= 0; i-- {
		switch tokens[i].Type {
		case hclsyntax.TokenCQuote, hclsyntax.TokenCParen:
			continue
		case hclsyntax.TokenIdent, hclsyntax.TokenQuotedLit:
			return string(tokens[i].Bytes)
		}
		return ""
	}
	return ""
}

// secret says whether a literal is a secret by the names that it stands under.
func (o *owners) secret(tokens hclsyntax.Tokens, i int) bool {
	last := len(o.names) - 1
	isKey := o.names[last] == "" && i >= 2 && i+2 < len(tokens) && tokens[i+1].Type == hclsyntax.TokenCQuote &&
		(tokens[i+2].Type == hclsyntax.TokenEqual || tokens[i+2].Type == hclsyntax.TokenColon) &&
		(tokens[i-2].Type == hclsyntax.TokenOBrace || tokens[i-2].Type == hclsyntax.TokenComma ||
			tokens[i-2].Type == hclsyntax.TokenNewline)
	text := tokens[i].Bytes // says where the secret is, if it looks so
	if o.names[last] == "env(" && isVariable.Match(text) || o.names[last] == "file(" && isPath.Match(text) {
		return false
	}
	for _, name := range o.names {
		if isSecretName.MatchString(name) || name == "headers" && !isKey {
			return true
		}
	}
	return false
}

// hideParts hides what is secret in a string by itself: the values of a query, with templates between its literals, and
// the argument behind one such as "--token".
func hideParts(tokens hclsyntax.Tokens, hide func(from, to int)) {
	inValue, depth, first, postgres := false, 0, true, false
	for i, token := range tokens[1:] {
		switch token.Type {
		case hclsyntax.TokenOQuote, hclsyntax.TokenTemplateInterp, hclsyntax.TokenTemplateControl:
			depth++
		case hclsyntax.TokenTemplateSeqEnd:
			depth--
		case hclsyntax.TokenCQuote:
			if depth--; depth < 0 {
				return
			}
		case hclsyntax.TokenQuotedLit:
			if depth > 0 {
				continue
			}
			text := string(token.Bytes)
			if first && strings.HasPrefix(text, "-") && isSecretName.MatchString(text) {
				hideNext(tokens[i+2:], hide)
			}
			if first {
				postgres = strings.HasPrefix(text, "postgres") // whose parameters are settings, but for those named so
			}
			if first = false; postgres {
				continue
			}
			inValue = hideQuery(text, token.Range.Start.Byte, inValue, hide)
		}
	}
}

// hideNext hides the next literal of a list.
func hideNext(tokens hclsyntax.Tokens, hide func(from, to int)) {
	if len(tokens) < 4 || tokens[0].Type != hclsyntax.TokenCQuote || tokens[1].Type != hclsyntax.TokenComma {
		return
	}
	for _, token := range tokens[2:] {
		switch token.Type {
		case hclsyntax.TokenQuotedLit, hclsyntax.TokenStringLit:
			hide(token.Range.Start.Byte, token.Range.End.Byte)
		case hclsyntax.TokenComma, hclsyntax.TokenCBrack:
			return
		}
	}
}

var beginsValue = regexp.MustCompile(`[?&][\w.\[\]%-]+=`)

// hideQuery hides the values of a query in a literal, and says whether its end is within one.
func hideQuery(text string, at int, inValue bool, hide func(from, to int)) bool {
	for from := 0; ; {
		if !inValue {
			found := beginsValue.FindStringIndex(text[from:])
			if found == nil {
				return false
			}
			from += found[1]
		}
		end := strings.IndexAny(text[from:], "&#")
		if end < 0 {
			hide(at+from, at+len(text))
			return true
		}
		hide(at+from, at+from+end)
		from, inValue = from+end, false
	}
}
