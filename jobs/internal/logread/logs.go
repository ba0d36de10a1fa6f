package logread

import (
	"sync/atomic"

	"github.com/hashicorp/go-hclog"

	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

// Logs are the logs of all topics, with what their readers share.
type Logs struct {
	Rings    atomic.Int64 // how often the doorbell has rung, counted before a reader is woken
	Emitters Emitters

	db      pg.DB
	byTopic map[string]*Log
}

// NewLogs makes Logs without any topic.
func NewLogs(db pg.DB, logger hclog.Logger) *Logs {
	return &Logs{
		Emitters: Emitters{DB: db, Logger: logger, OpenFor: openForLong}, db: db, byTopic: map[string]*Log{},
	}
}

// Of returns the log of a topic. None reads at that time.
func (l *Logs) Of(topic string) *Log {
	log, ok := l.byTopic[topic]
	if !ok {
		log = NewLog(NewReader(l.db, topic), &l.Rings)
		log.emitters = &l.Emitters
		l.byTopic[topic] = log
	}
	return log
}

// Begin forgets what an earlier term has read. None reads at that time.
func (l *Logs) Begin() {
	l.Emitters.Begin()
	for _, log := range l.byTopic {
		log.Begin()
	}
}
