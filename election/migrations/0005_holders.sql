-- Every role that may connect may take an advisory lock: one that holds the lock of a replica that has gone made it look alive.
-- What counts is the lock of a session whose role may lead, by itself or as a member of another role.
create or replace view pgsolo.replica with (security_barrier) as
select r.election, r.node, nullif(r.address, '') as address, nullif(r.version, '') as version,
    nullif(r.fingerprint, '') as fingerprint, r.since, l.term
from pgsolo.replica_session r
    join pg_catalog.pg_locks k on k.locktype = 'advisory' and k.granted and k.objsubid = 2
        and k.database = (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database())
        and k.classid = 'pgsolo.replica_session'::regclass and k.objid = r.id::bigint::oid
    join pg_catalog.pg_stat_activity a on a.pid = k.pid and exists (
        select from pg_catalog.pg_class c, pg_catalog.aclexplode(coalesce(c.relacl, pg_catalog.acldefault('r', c.relowner))) g
        where c.oid = 'pgsolo.leader'::regclass and (pg_catalog.pg_has_role(a.usesysid, c.relowner, 'member')
            or g.privilege_type = 'UPDATE' and (g.grantee = 0 or pg_catalog.pg_has_role(a.usesysid, g.grantee, 'member'))))
    left join (
        select e.election, e.term, h.pid
        from pgsolo.leader e join pg_catalog.pg_locks h on h.locktype = 'advisory' and h.granted and h.objsubid = 2
            and h.database = (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database())
            and h.classid = 'pgsolo.leader'::regclass and h.objid = e.lock_id::bigint::oid
    ) l on l.pid = k.pid and l.election = r.election
order by r.election, r.since, r.node;
