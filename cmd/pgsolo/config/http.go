package config

import (
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/config/block"
)

func (doc *document) http(*hclsyntax.Block) block.Body {
	to := &doc.config.HTTP
	return block.Body{Arguments: []block.Argument{
		{Name: "listen", Value: block.String(&to.Listen, checkListen)},
		{Name: "advertise", Value: block.String(&to.Advertise, checkWebURL)},
		{Name: "hosts", Value: block.Strings(&to.Hosts, checkHosts)},
	}}
}

// checkListen says what is wrong with an address to listen on.
func checkListen(given block.Text) string {
	_, port, err := net.SplitHostPort(given.Value)
	if err != nil {
		if isPort(given.Value) {
			return given.Shown() + " has no colon." + given.Hint("Did you mean %q?", ":"+given.Value)
		}
		return given.Shown() + ` is not an address. Write host:port, or ":8080" for port 8080 on every interface.`
	}
	if !isPort(port) {
		return fmt.Sprintf("%s has no port between 0 and 65535. Write host:port.", given.Shown())
	}
	return ""
}

// checkHosts says what is wrong with the names of a server.
func checkHosts(names []string) string {
	for _, name := range names {
		if name == "" || strings.ContainsAny(name, ":/@*[] ") {
			return fmt.Sprintf("%q is not the name of a host. Write one such as \"pgsolo.example.com\", without "+
				"a scheme and a port. Addresses need not be listed.", name)
		}
	}
	return ""
}

func isPort(s string) bool {
	_, err := strconv.ParseUint(s, 10, 16)
	return err == nil
}

// checkWebURL says what is wrong with the URL of a server that speaks HTTP.
func checkWebURL(given block.Text) string {
	parsed, err := url.Parse(given.Value)
	if err != nil {
		return "The value is not a URL. Write one such as https://example.com/path, with special characters " +
			"percent-encoded."
	}
	web := []string{"http", "https"}
	switch scheme, _, ok := strings.Cut(given.Value, "://"); {
	case given.Value == "":
		return "The URL is empty. Write one such as https://example.com/path."
	case !ok && !strings.ContainsAny(given.Value, "@ "):
		return "The URL has no scheme." + given.Hint("Did you mean %q?", "https://"+strings.TrimLeft(given.Value, "/"))
	case !ok:
		return "The URL has no scheme. It begins with http:// or https://."
	case parsed.Scheme != "http" && parsed.Scheme != "https":
		if meant := block.Nearest(scheme, web); meant != "" {
			return "The scheme of the URL is neither http nor https." + given.Hint("Did you mean %q?", meant+"://")
		}
		return "The scheme of the URL is neither http nor https."
	case parsed.Hostname() == "":
		return "The URL names no host. Write one such as https://example.com/path."
	}
	return ""
}
