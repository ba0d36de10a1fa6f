-- Every role that may connect may take an advisory lock: one that held the lock of a group that is gone kept its names held for ever.
-- What counts is the lock of a session whose role may attend, by itself or as a member of another role.
create or replace function pgsolo.is_led(of_group text) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select exists (select from pgsolo.jobs_group g
        join pg_locks k on k.locktype = 'advisory' and k.classid = 'pgsolo.jobs_group'::regclass and k.objid::bigint = g.id
            and k.objsubid = 2 and k.granted and k.database = (select oid from pg_database where datname = current_database())
        join pg_stat_activity a on a.pid = k.pid
        where g."group" = of_group and exists (
            select from pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) e
            where p.oid = 'pgsolo.attend(text, bigint, bigint)'::regprocedure and (pg_has_role(a.usesysid, p.proowner, 'member')
                or e.grantee = 0 or pg_has_role(a.usesysid, e.grantee, 'member'))))
$$;
