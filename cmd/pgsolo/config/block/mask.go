package block

import (
	"bytes"
	"regexp"
)

// mask replaces secrets that are written into the source by as many asterisks: the string of an argument called secret,
// or of an environment variable or a header with such a name, and the password of a URL. It works on the text, since a
// file with a syntax error has to be masked too.
//
// Everything keeps its position. A template's ${…} inside of a secret is masked with it.
func mask(src []byte) []byte {
	masked := bytes.Clone(src)
	for _, secret := range secrets() {
		for _, match := range secret.FindAllSubmatchIndex(src, -1) {
			for i := match[2]; i >= 0 && i < match[3]; i++ {
				masked[i] = '*'
			}
		}
	}
	return masked
}

// secrets have the secret as their only group.
func secrets() []*regexp.Regexp {
	return []*regexp.Regexp{
		regexp.MustCompile(`(?i)(?:secret|token|password|api[_-]?key|authorization)[\w-]*"?` +
			`\s*[=:]\s*"((?:[^"\\\n]|\\.)*)`),
		regexp.MustCompile(`://[^:/@\s"]*:((?:[^"\\\n$]|\\.|\$[^{"\n])*)@`),
		regexp.MustCompile(`(?i)password=([^"&\s]*)`),
	}
}
