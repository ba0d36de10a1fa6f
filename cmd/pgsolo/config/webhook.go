package config

import (
	"context"
	"strings"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/config/block"
	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/webhook"
)

func webhookKind() actionKind { return actionKind{name: "webhook", bind: bindWebhook} }

func bindWebhook(with tools) boundAction {
	request := webhook.Request{Client: with.client}
	return boundAction{
		arguments: []block.Argument{
			{
				Name: "url", Field: "URL", Required: true, Value: webURL(&request.URL),
				Example: `url = "https://example.com/path"`,
			},
			// The methods of RFC 9110 that carry a body or an effect, and GET.
			{Name: "method", Field: "Method",
				Value: block.Word(&request.Method, "GET", "POST", "PUT", "PATCH", "DELETE")},
			{Name: "headers", Field: "Headers", Value: ownNames(
				block.StringMap(&request.Headers, checkHeaderName), isHost,
				"The host is decided when the configuration is loaded: an event must not set it.")},
			{Name: "secret", Field: "Secret", Value: block.String(&request.Secret, block.NotEmpty)},
		},
		validate: func() error { return request.Validate() },
		assume: func(func(string) bool) {
			if request.URL == "" {
				request.URL = "https://example.com/"
			}
		},
		run: func() jobs.Action {
			if err := request.Validate(); err != nil { // what is wrong with the values of one event stays wrong
				return func(context.Context, jobs.Invocation) error { return jobs.Discard(err) }
			}
			return request.Send
		},
	}
}

func isHost(header string) bool { return strings.EqualFold(header, "host") }

func checkHeaderName(name string) string {
	isToken := func(r rune) bool { return isNameRune(r) || strings.ContainsRune("!#$%&'*+^`|~", r) }
	if name == "" || strings.ContainsFunc(name, func(r rune) bool { return !isToken(r) }) {
		return "The name of a header has letters, digits and - only."
	}
	return ""
}
