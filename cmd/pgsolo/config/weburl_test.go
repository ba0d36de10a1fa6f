package config

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/config/block"
	"github.com/pgsolo/pgsolo/jobs/eventlog"
)

// Where a request goes is decided when the configuration is loaded.
func TestEventInAHost(t *testing.T) {
	for url, want := range map[string]string{
		`event.payload.url`: "up to the slash", `"${event.payload.url}"`: "up to the slash",
		`"https://${event.key}/"`: "up to the slash", `"https://host${event.payload.path}"`: "up to the slash",
		`"https://${event.key}.example.com/"`: "up to the slash",
		`"https://h:${event.payload.port}/"`:  "up to the slash",
		`"https://u:${event.key}@h/"`:         "up to the slash", `"${event.payload.scheme}://h/"`: "up to the slash",
		`"https://h${event.id}/"`: "up to the slash", `format("https://h/%s", event.key)`: "up to the slash",
		`join("/", ["https://h", event.key])`: "up to the slash", `lower("https://h/${event.key}")`: "up to the slash",
		`"https://${raw(event.key)}/"`: "up to the slash", `"https://${urlencode(event.key)}/"`: "up to the slash",
		`event.id == 1 ? "https://h/" : event.payload.url`:                   "up to the slash",
		`event.id == 1 ? "https://h/" : "https://${event.key}/"`:             "up to the slash",
		`try(event.payload.url, "https://h/")`:                               "up to the slash",
		`"https://${event.id == 1 ? "a" : event.key}.example.com/"`:          "up to the slash",
		`"https://${try(event.payload.host, "h")}/"`:                         "up to the slash",
		`"${env("SET")}${event.key}"`:                                        "up to the slash",
		`[for x in ["https://h/"] : "${x}${event.key}"][0]`:                  "up to the slash",
		`"htp://x/${event.key}"`:                                             `Did you mean "http://"?`,
		`"ftp://x/${event.key}"`:                                             "neither http nor https",
		`event.id == 1 ? "https://h/" : "htp://h/${event.key}"`:              "neither http nor https",
		`event.id == 1 ? "https://h/" : "htp://h/"`:                          `Did you mean "http://"?`,
		`"https:///${event.key}"`:                                            "names no host",
		`"https://h:x/${event.key}"`:                                         "not a URL",
		`"https://h/a/../${event.key}"`:                                      "segment . or ..",
		`"https://h/%2e%2e/${event.key}"`:                                    "segment . or ..",
		`"https://h/${event.kye}"`:                                           "Did you mean key?",
		`"https://h/${event.key}"`:                                           "",
		`"https://h?key=${event.key}"`:                                       "",
		`"https://u:p@h:8080/a/${event.key}/b?c=${event.payload.d}"`:         "",
		`"https://${hostport("::1", 80)}/${event.key}"`:                      "",
		`"${env("URL")}/${event.key}"`:                                       "",
		`event.payload.eu ? "https://eu/" : "https://us/${event.key}"`:       "",
		`"https://${event.payload.eu == true ? "eu" : "us"}.h/${event.key}"`: "",
	} {
		got := messages(t, "webhook {\nurl = "+url+"\n}")
		if (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", url, got, want)
		}
	}
	cron := postgresBlock + "cron \"c\" {\nschedule = \"@daily\"\nwebhook { url = " +
		"\"https://h/?at=${run.scheduled_at}\" }\n}\n"
	if _, err := Parse("config.hcl", []byte(cron), foreignEnv); err != nil {
		t.Error(err)
	}
}

// What is written stands as it is written, and what a template has of an event is encoded.
func TestEventInAPath(t *testing.T) {
	event := eventlog.Event{ID: 1, Handler: "h", Key: "a/b?c#d%2F&e=f g+ü\u0301@:", Payload: []byte(
		`{"n": 1.10, "up": "../../admin", "dots": "..", "x": "a/b?c=d", "list": ["a", "b/c"], "back": "..\\x", ` +
			`"semi": "..;", "enc": "%2e%2e", "nl": "a\r\nb", "ok": "a..b", "at": "@other/ok", "host": "//other/"}`)}
	const key = "a%2Fb%3Fc%23d%252F%26e%3Df%20g%2Bu%CC%88%CC%81%40%3A"
	event.Key = strings.ReplaceAll(event.Key, "ü", "u\u0308")
	env := func(string) (string, bool) { return "https://h/base?a=b&c", true }
	for url, want := range map[string]string{
		`"https://h/${event.key}"`:                                    "https://h/" + key,
		`"https://h/?k=${event.key}&n=1"`:                             "https://h/?k=" + key + "&n=1",
		`"https://h/a b/${event.payload.n}#x"`:                        "https://h/a b/1.10#x",
		`"https://h/${urlencode(event.key)}"`:                         "https://h/" + key,
		`"https://h/${raw(event.payload.x)}"`:                         "https://h/a/b?c=d",
		`"https://h/${(raw(event.payload.x))}/"`:                      "https://h/a/b?c=d/",
		`"https://h/${raw(event.payload.host)}"`:                      "https://h///other/",
		`"https://h/${raw(event.payload.at)}"`:                        "https://h/@other/ok",
		`"https://h/${event.payload.at}"`:                             "https://h/%40other%2Fok",
		`"https://h/${join("/", event.payload.list)}"`:                "https://h/a%2Fb%2Fc",
		`"https://h/${raw(join("/", event.payload.list))}"`:           "https://h/a/b/c",
		`"https://h/%{ for x in event.payload.list }${x}%{ endfor }"`: "https://h/ab%2Fc",
		`"https://h/${event.payload.ok}/${event.payload.enc}"`:        "https://h/a..b/%252e%252e",
		`"https://h/?up=${event.payload.up}"`:                         "https://h/?up=..%2F..%2Fadmin",
		`"https://h/?up=${raw(event.payload.dots)}"`:                  "https://h/?up=..",
		`"https://h/${event.payload.nl}"`:                             "https://h/a%0D%0Ab",
		`"https://h/${try(event.payload.no, "a/b")}"`:                 "https://h/a/b",
		`"https://h/${event.id == 1 ? "a/${event.payload.n}" : ""}"`:  "https://h/a/1.10",
		`"${env("X")}=${event.id}"`:                                   "https://h/base?a=b&c=1",
		`event.id == 1 ? "https://a/${event.id}" : "https://b/"`:      "https://a/1",
		`"https://h/${event.payload.up}"`:                             "!", `"https://h/${raw(event.payload.up)}"`: "!",
		`"https://h/a/${event.payload.dots}/b"`: "!", `"https://h/a/${event.payload.back}"`: "!",
		`"https://h/a/${event.payload.semi}/b"`: "!", `"https://h/a/${raw(event.payload.enc)}"`: "!",
		`"https://h/a/.${raw(".")}/${event.key}"`: "!", `"https://h/a/.${event.id == 1 ? "." : ""}/${event.key}"`: "!",
		`"https://h/${urlencode(event.payload.dots)}"`: "!", `"https://h/${raw(event.payload.nl)}"`: "!",
	} {
		var got string
		err := evaluate(t, url, event, env, webURL(&got))
		switch {
		case want == "!" && (!errors.Is(err, block.ErrRefused) || got != ""):
			t.Errorf("%s: %q, %v", url, got, err)
		case want != "!" && (err != nil || got != want):
			t.Errorf("%s: %v %s", url, err, cmp.Diff(want, got))
		}
	}
}

// A redirect is not followed, so that neither token nor signature go anywhere else.
func TestTokenStaysWithItsHost(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("the other host got %v", r.Header)
	}))
	defer other.Close()
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "" || r.Header.Get("Webhook-Signature") == "" {
			t.Errorf("headers %v", r.Header)
		}
		http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
	}))
	defer receiver.Close()
	config := parse(t, "topic \"orders\" {}\nhandler \"h\" {\ntopic = \"orders\"\nwebhook {\nurl = \""+receiver.URL+
		"/${event.key}\"\nsecret = \"s\"\nheaders = { authorization = \"Bearer t\" }\n}\n}")
	err := workOf(config, Resources{}).Handlers[0].Handle(t.Context(), anEvent())
	if err == nil || !strings.Contains(err.Error(), "redirects to") {
		t.Errorf("error %v", err)
	}
}
