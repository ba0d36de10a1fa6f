//go:build unix

package exec

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/pgsolo/pgsolo/jobs"
)

const prefix = "PGSOLO_"

// environ lays the command's own variables and those of the invocation over the inherited ones.
func (c Command) environ(inherited []string, invocation jobs.Invocation) ([]string, error) {
	environ := slices.DeleteFunc(inherited, func(pair string) bool { return strings.HasPrefix(pair, prefix) })
	for name, value := range c.Env {
		environ = append(environ, name+"="+value)
	}
	variables := variables(invocation)
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		if strings.ContainsRune(variables[name], 0) {
			return nil, fmt.Errorf("set %s: the value has a NUL byte, which no environment variable can carry", name)
		}
		environ = append(environ, name+"="+variables[name])
	}
	return environ, nil
}

func variables(invocation jobs.Invocation) map[string]string {
	variables := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(invocation.Headers)) {
		variable := prefix + "HEADER_" + variableName(name)
		if _, taken := variables[variable]; !taken {
			variables[variable] = invocation.Headers[name]
		}
	}
	for name, value := range invocation.Facts {
		variables[prefix+variableName(name)] = value
	}
	variables[prefix+"NAME"] = invocation.Name
	variables[prefix+"ATTEMPT"] = strconv.Itoa(invocation.Attempt)
	variables[prefix+"TERM"] = strconv.FormatInt(invocation.Term, 10)
	if invocation.IdempotencyKey != "" {
		variables[prefix+"IDEMPOTENCY_KEY"] = invocation.IdempotencyKey
	}
	return variables
}

// variableName works on bytes, so that a name in any encoding gets a variable that every shell can read.
func variableName(name string) string {
	upper := []byte(name)
	for i, char := range upper {
		switch {
		case 'a' <= char && char <= 'z':
			upper[i] = char - 'a' + 'A'
		case 'A' <= char && char <= 'Z', '0' <= char && char <= '9':
		default:
			upper[i] = '_'
		}
	}
	return string(upper)
}
