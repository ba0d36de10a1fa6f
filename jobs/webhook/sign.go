package webhook

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/pgsolo/pgsolo/jobs"
)

const secretPrefix = "whsec_"

// signingKey decodes the secret. Its errors do not quote it.
func signingKey(secret string) ([]byte, error) {
	secret = strings.TrimSpace(secret)
	if secret == "" {
		return nil, wrong("Secret", "has only white space")
	}
	encoded, prefixed := strings.CutPrefix(secret, secretPrefix)
	if !prefixed {
		return []byte(secret), nil
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, wrong("Secret", "begins with %s, but what follows is not standard base64", secretPrefix)
	}
	if len(key) < 24 || len(key) > 64 { // Standard Webhooks 1.0.0, "Signature scheme"
		return nil, wrong("Secret", "begins with %s, but what follows encodes %d bytes and not 24 to 64",
			secretPrefix, len(key))
	}
	return key, nil
}

// messageID has no full stop: the scheme asks for that, so that no part of the body can be moved into the id.
func messageID(invocation jobs.Invocation) string {
	if invocation.IdempotencyKey == "" {
		return "msg_" + rand.Text()
	}
	return strings.ReplaceAll(encodeValue(invocation.IdempotencyKey), ".", "%2E")
}

func sign(headers http.Header, key []byte, id string, now time.Time, body []byte) {
	timestamp := strconv.FormatInt(now.Unix(), 10)
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + timestamp + "."))
	mac.Write(body)

	headers.Set("Webhook-Id", id)
	headers.Set("Webhook-Timestamp", timestamp)
	headers.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
}
