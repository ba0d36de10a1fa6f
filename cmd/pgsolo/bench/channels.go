package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pgsolo/pgsolo/listener"
)

// measureSubscribe takes each sample on new sessions, in turn.
func (r listeners) measureSubscribe(ctx context.Context) error {
	const figure = "subscribe_1000"
	channels := channelNames(manyChannels)
	var floors, samples []time.Duration
	for i := range r.sizes.others {
		r.progress.step(figure, i+1, r.sizes.others)
		conn, took, err := r.bare(ctx, channels)
		if err != nil {
			return fmt.Errorf("%s: floor: %w", figure, err)
		}
		floors = append(floors, took)
		_ = conn.Close(ctx)
		if took, err = r.subscribeAll(ctx, channels); err != nil {
			return fmt.Errorf("%s: %w", figure, err)
		}
		samples = append(samples, took)
	}
	return r.report(newFigure(figure, "ms", milliseconds(samples), milliseconds(floors), atMost("ratio", 1.5)))
}

func (r listeners) subscribeAll(ctx context.Context, channels []string) (took time.Duration, err error) {
	l, err := r.listen(ctx, listener.Options{})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	began := time.Now()
	_, err = l.subscribe(ctx, channels)
	return time.Since(began), err
}
