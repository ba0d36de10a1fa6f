// Package holder finds out whose an advisory lock is. Every role that may connect to a database may take each advisory
// lock there, and call its session what it likes: only its role tells a session of pgsolo's from one of somebody else.
package holder

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// MayLead is a condition on a session a of pg_stat_activity: its role may begin a term, by itself or as a member of
// another role, also one that it has to set. Every role may see which role a session has logged in as.
const MayLead = `exists (select from pg_class c, aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) g
				where c.oid = 'pgsolo.leader'::regclass and (pg_has_role(a.usesysid, c.relowner, 'member')
					or g.privilege_type = 'UPDATE'
						and (g.grantee = 0 or pg_has_role(a.usesysid, g.grantee, 'member'))))`

// Columns are those of a Holder, from pg_locks k left join pg_stat_activity a.
const Columns = `coalesce(k.pid, -1) as pid, coalesce(a.usename, '') as role,
				coalesce(a.application_name, '') as name, coalesce(host(a.client_addr), '') as address,
				` + MayLead + ` as may_lead`

const selectHolder = `select ` + Columns + `
	from pg_locks k left join pg_stat_activity a using (pid)
	where k.locktype = 'advisory' and k.classid = ($1::bigint & 4294967295)::oid and k.objid = $2::bigint::oid
		and k.objsubid = 2 and k.granted and k.pid is distinct from pg_backend_pid()
		and k.database = (select oid from pg_database where datname = current_database())
	order by may_lead desc, k.pid limit 1`

// Holder is a session that holds a lock. Zero: there is none.
type Holder struct {
	PID     int32  // -1: a prepared transaction holds it
	Role    string // that it has logged in as
	Name    string // application_name
	Address string // empty where this role may not see it, and on a unix socket
	MayLead bool
}

// Of returns the session that holds the lock, preferably one whose role may lead. place puts a statement into the
// schema.
func Of(ctx context.Context, conn *pgx.Conn, place func(sql string) string, class, id int32) (h Holder, err error) {
	err = conn.QueryRow(ctx, place(selectHolder), class, id).Scan(&h.PID, &h.Role, &h.Name, &h.Address, &h.MayLead)
	if errors.Is(err, pgx.ErrNoRows) {
		return Holder{}, nil
	}
	return h, err
}

// Fields are what a log says of it, with what to do.
func (h Holder) Fields() []any {
	return []any{
		"process", h.PID, "role", h.Role, "application_name", h.Name, "address", h.Address, "remedy", h.Remedy(),
	}
}

func (h Holder) String() string {
	if h.PID < 0 {
		return "a prepared transaction"
	}
	from := ""
	if h.Address != "" {
		from = " from " + h.Address
	}
	return fmt.Sprintf("process %d of role %q (application_name %q%s)", h.PID, h.Role, h.Name, from)
}

// Remedy is what to do about one that does not belong there.
func (h Holder) Remedy() string {
	if h.PID < 0 {
		return "rollback prepared, see pg_prepared_xacts"
	}
	return fmt.Sprintf("select pg_terminate_backend(%d), and keep other roles out: revoke connect on database … "+
		"from public, or a database of its own", h.PID)
}
