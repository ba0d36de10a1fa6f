-- The replicas that take part, one row for each session that has done so. A row says nothing about whether its replica is still
-- there: that is told by the advisory lock (oid of this table, id), which the session holds as long as it lasts, and which every
-- role sees in pg_locks. An id is drawn at random, so that no sequence has to agree with the table. Rows of the dead go after a
-- day, when another session registers.
create table pgsolo.replica_session (
    id          integer primary key check (id > 0),
    election    text not null,
    node        text not null,
    address     text not null,
    version     text not null,
    fingerprint text not null,
    since       timestamptz not null default clock_timestamp()
);

-- Who takes part now. term is the one that it leads with, or null. Replicas of the version before do not register.
create view pgsolo.replica with (security_barrier) as
select r.election, r.node, nullif(r.address, '') as address, nullif(r.version, '') as version,
    nullif(r.fingerprint, '') as fingerprint, r.since, l.term
from pgsolo.replica_session r
    join pg_catalog.pg_locks k on k.locktype = 'advisory' and k.granted and k.objsubid = 2
        and k.database = (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database())
        and k.classid = 'pgsolo.replica_session'::regclass and k.objid = r.id::bigint::oid
    left join (
        select e.election, e.term, h.pid
        from pgsolo.leader e join pg_catalog.pg_locks h on h.locktype = 'advisory' and h.granted and h.objsubid = 2
            and h.database = (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database())
            and h.classid = 'pgsolo.leader'::regclass and h.objid = e.lock_id::bigint::oid
    ) l on l.pid = k.pid and l.election = r.election
order by r.election, r.since, r.node;

-- Roles that lead without owning the tables register too.
do $$
declare
    grantee text;
begin
    for grantee in
        select distinct case a.grantee when 0 then 'public' else a.grantee::pg_catalog.regrole::text end
        from pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) a
        where c.oid = 'pgsolo.leader'::regclass and a.privilege_type = 'UPDATE' and a.grantee <> c.relowner
    loop
        execute format('grant select, insert, delete on pgsolo.replica_session to %1$s; grant select on pgsolo.replica to %1$s', grantee);
    end loop;
end $$;
