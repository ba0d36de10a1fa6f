package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"time"
)

// Status is a replica's answer about its first election. Holder, Term and Since are the leader's.
type Status struct {
	Election string
	Role     string // outside, standby or leader
	Holder   string
	Term     int64
	Since    time.Time
	Build    struct{ Version, Go string }
}

var servingHTTP = regexp.MustCompile(`serving HTTP: address=(\S+)`)

// Address is the URL at which a replica serves HTTP, and "" before that. The replica says so in its log, which must
// have the level info at least, and lines of text.
func (p *Process) Address() string {
	match := servingHTTP.FindStringSubmatch(p.Output())
	if match == nil {
		return ""
	}
	return "http://" + match[1]
}

var errNoAddress = errors.New("no HTTP is served yet")

// Get returns the status code and the body of a replica's answer. The path may have a query.
func (p *Process) Get(ctx context.Context, path string) (code int, body string, err error) {
	address := p.Address()
	if address == "" {
		return 0, "", errNoAddress
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address+path, nil)
	if err != nil {
		return 0, "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, "", fmt.Errorf("read the answer of %s: %w", path, err)
	}
	return response.StatusCode, string(text), nil
}

// Status asks the replica for its status.
func (p *Process) Status(ctx context.Context) (s Status, err error) {
	const path = "/v1/status"
	code, body, err := p.Get(ctx, path)
	if err != nil {
		return s, err
	}
	if code != http.StatusOK {
		return s, fmt.Errorf("%s: %d %s", path, code, body)
	}
	if err := json.Unmarshal([]byte(body), &s); err != nil {
		return s, fmt.Errorf("%s: %w in %s", path, err, body)
	}
	return s, nil
}
