package listener_test

import (
	"context"
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
