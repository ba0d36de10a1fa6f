package block

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2/ext/tryfunc"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
)

// maxFileBytes is the most that file reads: it is meant for secrets and certificates.
const maxFileBytes = 1 << 20

// functions are those that expressions may call. Relative paths of file begin in folder.
func functions(folder string, env func(string) (string, bool)) map[string]function.Function {
	return map[string]function.Function{
		"env":        envFunction(env),
		"file":       fileFunction(folder),
		"format":     stdlib.FormatFunc,
		"hostport":   hostPortFunction(),
		"join":       stdlib.JoinFunc,
		"jsonencode": stdlib.JSONEncodeFunc,
		"lower":      stdlib.LowerFunc,
		"raw": textFunction("raw(text) is the text. In a URL it stands as it is, where other values are encoded.",
			func(text string) string { return text }),
		"try":   tryfunc.TryFunc,
		"upper": stdlib.UpperFunc,
		"urlencode": textFunction("urlencode(text) is the text with all but A-Z a-z 0-9 - . _ ~ percent-encoded.",
			EncodeURL),
	}
}

// callError is an error of env or file with the text of its own diagnostic.
type callError struct{ summary, detail string }

func (e *callError) Error() string { return e.detail }

func envFunction(env func(string) (string, bool)) function.Function {
	return function.New(&function.Spec{
		Description: "env(name) or env(name, default) is the value of an environment variable.",
		Params:      []function.Parameter{{Name: "name", Type: cty.String, AllowMarked: true}},
		VarParam:    &function.Parameter{Name: "default", Type: cty.String, AllowMarked: true},
		Type:        function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			name, secret := plain(args[0])
			if len(args) > 2 {
				return cty.NilVal, &callError{"Too many arguments",
					"The function env takes a name and at most one default."}
			}
			if value, ok := env(name); ok {
				return StringValue(value).Mark(hiddenMark{}), nil
			}
			if len(args) == 2 {
				return args[1], nil
			}
			if secret {
				return cty.NilVal, &callError{"Missing environment variable",
					"The variable that this call names is not set. Set it, or give a default."}
			}
			return cty.NilVal, &callError{"Missing environment variable", fmt.Sprintf(
				"The environment variable %s is not set. Set it, or give a default: env(%q, \"…\").", name, name)}
		},
	})
}

func fileFunction(folder string) function.Function {
	read := remember(readText)
	return function.New(&function.Spec{
		Description: "file(path) is the content of a file without one trailing newline.",
		Params:      []function.Parameter{{Name: "path", Type: cty.String, AllowMarked: true}},
		Type:        function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			path, secret := plain(args[0])
			if !filepath.IsAbs(path) {
				path = filepath.Join(folder, path)
			}
			content, err := read(path)
			if err != nil {
				named := path
				if secret {
					named = "that this call names"
				}
				return cty.NilVal, &callError{"Unreadable file",
					fmt.Sprintf("The file %s cannot be read: %v.", named, WithoutPath(err))}
			}
			return StringValue(content).Mark(hiddenMark{}), nil
		},
	})
}

func textFunction(description string, of func(string) string) function.Function {
	return function.New(&function.Spec{
		Description: description,
		Params:      []function.Parameter{{Name: "text", Type: cty.String}},
		Type:        function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			return cty.StringVal(of(args[0].AsString())), nil
		},
	})
}

// EncodeURL percent-encodes what is not unreserved by RFC 3986, for a segment of a path and for a query alike.
func EncodeURL(text string) string {
	return strings.ReplaceAll(url.QueryEscape(text), "+", "%20")
}

func hostPortFunction() function.Function {
	return function.New(&function.Spec{
		Description: "hostport(host, port) is host:port, with an IPv6 address in brackets.",
		Params:      []function.Parameter{{Name: "host", Type: cty.String}, {Name: "port", Type: cty.String}},
		Type:        function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			host := args[0].AsString()
			if inner, ok := strings.CutPrefix(host, "["); ok && strings.HasSuffix(inner, "]") {
				host = strings.TrimSuffix(inner, "]")
			}
			if problem := checkHostPort(host, args[1].AsString()); problem != "" {
				return cty.NilVal, &callError{"Invalid address", problem}
			}
			return cty.StringVal(net.JoinHostPort(host, args[1].AsString())), nil
		},
	})
}

// checkHostPort says what is wrong with an address, and repeats nothing of it.
func checkHostPort(host, port string) string {
	_, err := netip.ParseAddr(host)
	switch n, notNumber := strconv.ParseUint(port, 10, 16); {
	case notNumber != nil || n > 65535:
		return "A port is a whole number from 0 to 65535."
	case strings.Contains(host, "%"):
		return "The address has a zone, which a URL writes in another way than the rest: write the whole yourself, " +
			`"http://[fe80::1%25eth0]:8080" in a URL and "[fe80::1%eth0]:8080" elsewhere.`
	case strings.Contains(host, ":") && err != nil:
		return "The host has a colon and is no IPv6 address: the port is the second argument."
	case strings.ContainsAny(host, "/?#@\\[] \t\r\n"):
		return "The host is a name or an address, and nothing else of a URL."
	}
	return ""
}

// plain gives a string without its marks, and whether it had one and so must not be printed.
func plain(value cty.Value) (s string, hidden bool) {
	value, marks := value.Unmark()
	return value.AsString(), len(marks) > 0
}

func readText(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxFileBytes+1))
	switch {
	case err != nil:
		return "", err
	case len(content) > maxFileBytes:
		return "", fmt.Errorf("it has more than %d bytes", maxFileBytes)
	case !utf8.Valid(content):
		return "", fmt.Errorf("it is not UTF-8 text")
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(content), "\n"), "\r"), nil
}

// WithoutPath drops what a message that names the path already says.
func WithoutPath(err error) error {
	if pathError, ok := errors.AsType[*fs.PathError](err); ok {
		return pathError.Err
	}
	return err
}

// remember makes read return its first result for a path for ever, so that an action sees the file as it was when the
// configuration was loaded.
func remember(read func(string) (string, error)) func(string) (string, error) {
	type result struct {
		content string
		err     error
	}
	var mutex sync.Mutex // guards results
	results := map[string]result{}
	return func(path string) (string, error) {
		mutex.Lock()
		defer mutex.Unlock()
		known, ok := results[path]
		if !ok {
			known.content, known.err = read(path)
			results[path] = known
		}
		return known.content, known.err
	}
}
