package group

import (
	"context"
	"sync"

	"github.com/hashicorp/go-hclog"
)

// Where a context has the attendances of its process, and those of jobs.Run.
type (
	processKey    struct{}
	leadershipKey struct{}
)

// Process returns a context whose leaderships share a session, one for each database and schema.
func Process(ctx context.Context) context.Context {
	return context.WithValue(ctx, processKey{}, &process{sessions: map[place]*attendance{}})
}

// process has the sessions of all leaderships of a process.
type process struct {
	mu       sync.Mutex // guards sessions
	sessions map[place]*attendance
}

type place struct{ url, schema string }

func (p *process) session(g Group) *attendance {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := place{g.DB.Pool.Config().ConnString(), g.DB.Schema}
	if p.sessions[at] == nil {
		p.sessions[at] = &attendance{}
	}
	return p.sessions[at]
}

// leadership has what the engines of one leadership share: those in one group attend once.
type leadership struct {
	mu      sync.Mutex // guards members
	members map[inGroup]func(planned bool)
}

type inGroup struct {
	place
	group string
}

// Share has the engines that run under the context share what Attend begins. The caller calls leave when all of them
// have ended; planned says that they have stopped as planned, so that another group may go on at once.
func Share(ctx context.Context) (sharing context.Context, leave func(planned bool)) {
	l := &leadership{members: map[inGroup]func(bool){}}
	return context.WithValue(ctx, leadershipKey{}, l), func(planned bool) {
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, leave := range l.members {
			leave(planned)
		}
	}
}

// Attend holds the group's lock for the leader of this term, beside whatever else it does, and counts the time, until
// leave is called. It takes no session of the pool, whose number may be small, but has one of its own with the same
// settings, or that of its process. Where it gets none, or the role may not, the leader leads all the same: names of
// its group may then be taken by another one.
func (g Group) Attend(ctx context.Context, term int64, logger hclog.Logger) (leave func(planned bool)) {
	l, isShared := ctx.Value(leadershipKey{}).(*leadership)
	if !isShared {
		return g.attend(ctx, term, logger)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	of := inGroup{place{g.DB.Pool.Config().ConnString(), g.DB.Schema}, g.Name}
	if l.members[of] == nil {
		l.members[of] = g.attend(ctx, term, logger)
	}
	return func(bool) {}
}

func (g Group) attend(ctx context.Context, term int64, logger hclog.Logger) (leave func(planned bool)) {
	a := &attendance{}
	if p, is := ctx.Value(processKey{}).(*process); is {
		a = p.session(g)
	}
	return a.enter(&member{
		ctx: context.WithoutCancel(ctx), group: g, term: term, logger: logger, left: make(chan struct{}),
	})
}
