package config

import (
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
				Name: "url", Field: "URL", Required: true, Value: block.String(&request.URL, checkWebURL),
				Example: `url = "https://example.com/path"`,
			},
			// The methods of RFC 9110 that carry a body or an effect, and GET.
			{Name: "method", Field: "Method",
				Value: block.Word(&request.Method, "GET", "POST", "PUT", "PATCH", "DELETE")},
			{Name: "headers", Field: "Headers", Value: block.StringMap(&request.Headers, checkHeaderName)},
			{Name: "secret", Field: "Secret", Value: block.String(&request.Secret, block.NotEmpty)},
		},
		validate: func() error { return request.Validate() },
		assume: func(waits func(string) bool) {
			if waits("url") {
				request.URL = "https://example.com/"
			}
		},
		run: func() jobs.Action { return request.Send },
	}
}

func checkHeaderName(name string) string {
	isToken := func(r rune) bool { return isNameRune(r) || strings.ContainsRune("!#$%&'*+^`|~", r) }
	if name == "" || strings.ContainsFunc(name, func(r rune) bool { return !isToken(r) }) {
		return "The name of a header has letters, digits and - only."
	}
	return ""
}
