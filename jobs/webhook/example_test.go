package webhook_test

import (
	"context"

	"github.com/pgsolo/pgsolo/jobs/eventlog"
	"github.com/pgsolo/pgsolo/jobs/webhook"
)

func Example() {
	client := webhook.NewClient() // one for all requests of the process
	defer client.CloseIdleConnections()

	request := webhook.Request{
		URL:     "https://billing.example.com/receipts",
		Headers: map[string]string{"x-tenant": "acme"},
		Secret:  "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
		Client:  client,
	}
	handler := eventlog.Handler{
		Name:  "receipt",
		Topic: "orders",
		Handle: func(ctx context.Context, event eventlog.Event) error {
			return request.Send(ctx, event.Invocation())
		},
	}
	_ = handler // one of eventlog.Options.Handlers
}
