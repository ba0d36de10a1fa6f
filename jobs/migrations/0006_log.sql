-- A counter can be set back: by TRUNCATE … RESTART IDENTITY, setval, a restore of some tables, or a copy by logical replication, which
-- brings no sequences. So a claim compares the log, its sequence and what handlers are done with, and believes no position that they
-- contradict. The version before goes on. It writes none of the new columns of pgsolo.cursor: noted_by says so.

-- The epochs of the log, from each of which on positions of earlier ones have to be compared with the log. given is the highest id that
-- the sequence had given out then.
--   first        the log as it was when this was applied
--   raised       the sequence was below rows of the log, and is above them now
--   began again  the sequence had gone back, or may have: it is another one
--   copied       the log is in another database, or on another server
--   promoted     the server is on another timeline: it was a replica, or was restored to a point in time
-- identity is part of the idempotency keys of events with ids above keys_from, down to those of the next row with a lower epoch. It is
-- another one from each epoch on in which the log may be another one. That of a log which existed before this was applied is empty, so
-- that the keys stay. counter names server, database, timeline and the storage of the sequence, which TRUNCATE … RESTART IDENTITY and a
-- restore replace. sound_at, sound_xid: until when a leader knows that the sequence
-- had not gone back, and a transaction number that was not given out before then; null: until the latest write of each cursor.
-- checked_id, checked_at, checked_xid: under the latest epoch, the same as a leader has seen it last, and the highest id that had been
-- given out then.
create table pgsolo.log (
    epoch     bigint primary key,
    identity  text not null,
    counter   text not null,
    finding   text not null check (finding in ('first', 'raised', 'began again', 'copied', 'promoted')),
    given     bigint not null,
    sound_at  timestamptz,
    sound_xid xid8,
    found_at  timestamptz not null default clock_timestamp(),
    checked_id  bigint not null default 0,
    checked_at  timestamptz,
    checked_xid xid8,
    keys_from   bigint not null default 0
) with (fillfactor = 50);

-- Without it nobody knows which log this is, and nobody could lead.
create function pgsolo.keep_log() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    raise exception 'pgsolo.log says which event log this is: without its rows no handler could go on'
        using errcode = 'restrict_violation', hint = 'To begin anew, drop the schema and migrate.';
end
$$;

revoke execute on function pgsolo.keep_log from public;

create trigger keep_log before delete or truncate on pgsolo.log for each statement execute function pgsolo.keep_log();

-- Each claim reads it, with whatever role.
grant select on pgsolo.log to public;

-- epoch is that whose ids done has. noted_at, noted_xid: when progress was last written; the transactions of all events in done have
-- lower numbers. noted_by is the term of the latest leader that notes that.
alter table pgsolo.cursor
    add column epoch     bigint not null default 0,
    add column noted_at  timestamptz,
    add column noted_xid xid8,
    add column noted_by  bigint;

-- origin stands in an idempotency key in place of the id where the log has begun another epoch since: for the event of an earlier one.
alter table pgsolo.delivery add column origin text;

create function pgsolo.log_counter() returns text
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select concat_ws('/', (select system_identifier from pg_control_system()),
        (select oid from pg_database where datname = current_database()),
        substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8), 'pgsolo.event_id_seq'::regclass::oid,
        pg_relation_filenode('pgsolo.event_id_seq'))
$$;

create function pgsolo.new_identity() returns text
language sql volatile set search_path = pg_catalog, pg_temp as $$
    select left(replace(gen_random_uuid()::text, '-', ''), 12)
$$;

revoke execute on function pgsolo.new_identity from public;

grant execute on function pgsolo.log_counter() to public;

-- The highest id that the sequence has given out.
create function pgsolo.given() returns bigint
language sql volatile security definer set search_path = pg_catalog, pg_temp as $$
    select case when is_called then last_value else last_value - 1 end from pgsolo.event_id_seq
$$;

revoke execute on function pgsolo.given() from public;

insert into pgsolo.log (epoch, identity, counter, finding, given)
    select 0, case when pgsolo.given() > 0 or exists (select from pgsolo.event) or exists (select from pgsolo.cursor)
            or exists (select from pgsolo.delivery) then '' else pgsolo.new_identity() end,
        pgsolo.log_counter(), 'first', pgsolo.given();

-- is_new says whether an event is younger than what was noted: its transaction began later, and has a number that is not lower. Numbers
-- are compared as PostgreSQL does, modulo 2^32; without one the time decides. A row that was restored has a new number, and the time of
-- its event; one that was changed by hand, too; one that a producer has given a date of its own has an old number.
create function pgsolo.is_new(created_at timestamptz, number xid, noted_at timestamptz, noted_xid xid8) returns boolean
language sql immutable parallel safe as $$
    select created_at operator(pg_catalog.>) noted_at and (noted_xid is null
        or ((number::pg_catalog.text::pg_catalog.int8 operator(pg_catalog.-) noted_xid::pg_catalog.text::pg_catalog.int8)
            operator(pg_catalog.&) 4294967295) operator(pg_catalog.<) 2147483648)
$$;

grant execute on function pgsolo.is_new(timestamptz, xid, timestamptz, xid8) to public;

-- note_checked is what a leader that leads has seen: nothing under an id up to the highest one is newer than that.
create function pgsolo.note_checked(under bigint, id bigint, at timestamptz, number xid8) returns void
language sql security definer set search_path = pg_catalog, pg_temp as $$
    update pgsolo.log set checked_id = note_checked.id, checked_at = note_checked.at, checked_xid = note_checked.number
    where epoch = note_checked.under and checked_id < note_checked.id
$$;

revoke execute on function pgsolo.note_checked from public;

-- check_log is for a leader that has found a contradiction under an epoch: it begins the next one, unless another leader has. Positions
-- in topics that handlers have left (pgsolo.cursor_topic, of a later migration) count as those of cursors do. seen_new:
-- the leader has seen an event under an id that was another's. Where the sequence is below rows of the log, it is raised above them and
-- above all that handlers are done with; the log goes on. Otherwise the log began again.
--
-- One at a time. Other sessions emit meanwhile: given is read after the rows and the cursors, so that their ids are above it, or count as
-- given out. A log of which nothing has been handled yet, as of a database that is a copy of an empty one, gets an identity of its own, and no epoch.
-- The events that other servers have as well keep their keys after a copy or a promotion, as far as checked_id tells them. A sequence
-- that is below rows cannot reach them before it is raised, but by an error of each producer at the first one.
create function pgsolo.check_log(under bigint, seen_new boolean, sound_at timestamptz default null, sound_xid xid8 default null)
returns void language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    latest   pgsolo.log;
    top      bigint;
    finished bigint;
    highest  bigint;
    given    bigint;
    counter  text := pgsolo.log_counter();
    was      text[];
    now      text[] := string_to_array(counter, '/');
begin
    lock table pgsolo.log in share row exclusive mode;
    select * into latest from pgsolo.log l order by l.epoch desc limit 1;
    if latest.epoch <> under then
        return;
    end if;
    select max(e.id) into top from pgsolo.event e;
    select max(upper(c.done)) - 1, greatest(max(upper(c.done)) filter (where c.epoch = under) - 1, latest.checked_id)
        into highest, finished
        from (select done, epoch from pgsolo.cursor union all
            select k.done, coalesce((k.noted ->> 'epoch')::bigint, 0) from pgsolo.cursor_topic k) c;
    given := pgsolo.given();
    was := string_to_array(latest.counter, '/');
    if latest.epoch = 0 and latest.identity <> '' and now[1:2] <> was[1:2] and coalesce(top, 0) <= given and highest is null
        and not exists (select from pgsolo.delivery) then
        update pgsolo.log l set counter = array_to_string(now, '/'), identity = pgsolo.new_identity() where l.epoch = 0;
    elsif top > given then
        perform setval('pgsolo.event_id_seq', greatest(top, highest, latest.checked_id));
        insert into pgsolo.log (epoch, identity, counter, finding, given, sound_at, sound_xid, keys_from)
            values (under + 1, case when counter = latest.counter then latest.identity else pgsolo.new_identity() end,
                counter, 'raised', given, sound_at, sound_xid,
                case when counter = latest.counter then latest.keys_from else latest.checked_id end);
    elsif seen_new or finished > given or now[1:2] = was[1:2] and now[4:5] <> was[4:5] then
        insert into pgsolo.log (epoch, identity, counter, finding, given, sound_at, sound_xid)
            values (under + 1, pgsolo.new_identity(), counter, 'began again', given, sound_at, sound_xid);
    elsif counter <> latest.counter then
        insert into pgsolo.log (epoch, identity, counter, finding, given, keys_from)
            values (under + 1, pgsolo.new_identity(), counter,
                case when now[1:2] = was[1:2] then 'promoted' else 'copied' end, given, latest.checked_id);
    end if;
end
$$;

revoke execute on function pgsolo.check_log from public;

-- renew_identity is for a copy of a server that nothing tells from the original, once, before it leads: what is emitted to it from now
-- on has other idempotency keys.
create function pgsolo.renew_identity() returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    renewed text;
begin
    lock table pgsolo.log in share row exclusive mode;
    insert into pgsolo.log (epoch, identity, counter, finding, given, keys_from)
        select l.epoch + 1, pgsolo.new_identity(), l.counter, 'copied', pgsolo.given(), pgsolo.given()
        from pgsolo.log l order by l.epoch desc limit 1
        returning identity into renewed;
    return renewed;
end
$$;

revoke execute on function pgsolo.renew_identity from public;

-- Roles that lead without being the owner may write cursors.
do $$
declare
    leads text;
begin
    for leads in
        select distinct case when a.grantee = 0 then 'public' else a.grantee::regrole::text end
        from pg_class c cross join aclexplode(c.relacl) a
        where c.oid = 'pgsolo.cursor'::regclass and a.privilege_type = 'UPDATE' and a.grantee <> c.relowner
    loop
        execute format('grant execute on function pgsolo.check_log, pgsolo.note_checked to %s', leads);
    end loop;
end
$$;
