package webhook

import (
	"strings"
	"testing"

	"github.com/pgsolo/pgsolo/jobs"
)

func TestValidate(t *testing.T) {
	const url = "https://example.com/hook"
	for name, test := range map[string]struct {
		request Request
		want    string // part of the error; empty for a valid request
	}{
		"smallest": {request: Request{URL: url}},
		"everything": {
			request: Request{
				URL: url, Method: "PATCH", Secret: vector, Headers: map[string]string{"x-tenant": "größe\t5"},
			},
		},

		"no URL":         {request: Request{}, want: "URL is empty"},
		"no scheme":      {request: Request{URL: "example.com"}, want: "scheme"},
		"other scheme":   {request: Request{URL: "ftp://hunter2@example.com"}, want: `scheme "ftp"`},
		"no host":        {request: Request{URL: "https:///hunter2"}, want: "no host"},
		"broken escape":  {request: Request{URL: "https://example.com/%zz"}, want: "URL cannot be parsed"},
		"broken URL":     {request: Request{URL: "https://user:hunter2#@example.com"}, want: "URL cannot be parsed"},
		"control in URL": {request: Request{URL: "https://example.com/\n"}, want: "URL cannot be parsed"},

		"method": {request: Request{URL: url, Method: "PO ST"}, want: `Method "PO ST"`},

		"blank secret":     {request: Request{URL: url, Secret: " \n"}, want: "Secret has only white space"},
		"secret no base64": {request: Request{URL: url, Secret: "whsec_hunter2!"}, want: "Secret begins with whsec_"},
		"secret too short": {request: Request{URL: url, Secret: "whsec_aHVudGVyMg=="}, want: "7 bytes"},
		"header name": {
			request: Request{URL: url, Headers: map[string]string{"a b": "x"}}, want: `Headers has the name "a b"`,
		},
		"empty header name": {
			request: Request{URL: url, Headers: map[string]string{"": "x"}}, want: `Headers has the name ""`,
		},
		"header value": {
			request: Request{URL: url, Headers: map[string]string{"x": "hunter2\r\ny: z"}}, want: `Headers["x"]`,
		},
		"header twice": {
			request: Request{URL: url, Headers: map[string]string{"x-a": "1", "X-A": "2"}}, want: "X-A twice",
		},
		"header of client": {
			request: Request{URL: url, Headers: map[string]string{"content-length": "1"}}, want: "Content-Length",
		},
		"header of signature": {
			request: Request{URL: url, Secret: "s", Headers: map[string]string{"webhook-id": "1"}},
			want:    "Webhook-Id",
		},
		"own signature": {request: Request{URL: url, Headers: map[string]string{"webhook-id": "1"}}},
	} {
		t.Run(name, func(t *testing.T) {
			err := test.request.Validate()
			switch {
			case test.want == "" && err != nil:
				t.Errorf("Validate = %q, want none", err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("Validate = %v, want %q", err, test.want)
			case err != nil && strings.Contains(err.Error(), "hunter2"):
				t.Errorf("Validate = %q, which has a secret", err)
			}
		})
	}
}

func TestInvalidRequestIsNotSent(t *testing.T) {
	url, client := serve(t, nil)
	request := Request{URL: url, Client: client, Headers: map[string]string{"x-tenant": "a\nb"}}
	err := request.Send(t.Context(), jobs.Invocation{})
	if err == nil || !strings.Contains(err.Error(), `Headers["x-tenant"]`) {
		t.Errorf("Send = %v, want an error that names the header", err)
	}
}
