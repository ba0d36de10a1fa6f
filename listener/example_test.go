package listener_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/listener"
)

func Example() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()

	config, err := pgx.ParseConfig("postgres://app@db.example.org/app?application_name=app-listener")
	if err != nil {
		log.Fatal(err)
	}
	l, err := listener.New(listener.Options{Config: config})
	if err != nil {
		log.Fatal(err)
	}
	subscription, err := l.Subscribe("cache_invalidate")
	if err != nil {
		log.Fatal(err)
	}

	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case key, open := <-subscription.Messages():
				if !open {
					return // Run has ended
				}
				fmt.Println("forget", key)
			case <-subscription.Missed():
				fmt.Println("forget everything: messages may have been missed")
			}
		}
	}()

	err = l.Run(ctx)
	<-done
	if err != nil {
		log.Fatal(err)
	}
}

func ExampleNotify() {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, "postgres://app@db.example.org/app")
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close(ctx)

	// Sent when the transaction commits, and not at all if it does not.
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `update price set amount = amount * 1.1 where sku = $1`, "a-17"); err != nil {
			return err
		}
		return listener.Notify(ctx, tx, "cache_invalidate", "a-17")
	})
	if errors.Is(err, listener.ErrPayloadTooLong) {
		log.Print("send the key of a row that holds the rest")
	}
	if err != nil {
		log.Fatal(err)
	}
}

func ExampleDecodeJSON() {
	type price struct {
		SKU    string  `json:"sku"`
		Amount float64 `json:"amount"`
	}
	config, err := pgx.ParseConfig("postgres://app@db.example.org/app")
	if err != nil {
		log.Fatal(err)
	}
	l, err := listener.New(listener.Options{Config: config})
	if err != nil {
		log.Fatal(err)
	}
	subscription, err := l.Subscribe("prices")
	if err != nil {
		log.Fatal(err)
	}

	for _, payload := range []string{`{"sku": "a-17", "amount": 9.5}`, `null`} {
		p, err := listener.DecodeJSON[price](subscription, payload)
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(p.SKU, "costs", p.Amount)
	}
	// Output:
	// a-17 costs 9.5
	// channel "prices": payload is not the JSON expected: at byte 0: null is no listener_test.price
}
