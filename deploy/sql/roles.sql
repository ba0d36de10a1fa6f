-- Roles with what each part of a system needs of pgsolo, and no more. They do not log in: grant them to those that do.
--
--     psql -v ON_ERROR_STOP=1 -f deploy/sql/roles.sql      -- as the role that migrates, after each pgsolo migrate
--     grant pgsolo_runtime  to billing;                    -- the role in DATABASE_URL of the replicas
--     grant pgsolo_operator to alice;
--     grant pgsolo_producer to shop;
--     grant pgsolo_reader   to grafana;
--
-- The role that migrates owns the tables and functions, and needs createrole for this, or a superuser runs it. It may be
-- run again at any time. It takes nothing away that was granted otherwise. For another schema than pgsolo, replace
-- 'pgsolo.' and 'schema pgsolo' in it.

do $$
declare
    name text;
begin
    foreach name in array array['pgsolo_runtime', 'pgsolo_operator', 'pgsolo_producer', 'pgsolo_reader'] loop
        if not exists (select from pg_catalog.pg_roles where rolname = name) then
            execute pg_catalog.format('create role %I nologin', name);
        end if;
    end loop;
end
$$;

grant usage on schema pgsolo to pgsolo_runtime, pgsolo_operator, pgsolo_producer, pgsolo_reader;

-- pgsolo run. It leads, and changes no table and no function. Without owning the tables it cannot vacuum them, unless
-- PostgreSQL 17 or later grants it maintain on pgsolo.event and pgsolo.dedup.
grant select on all tables in schema pgsolo to pgsolo_runtime;
grant insert, update, delete on pgsolo.leader_term, pgsolo.delivery, pgsolo.handler_cut_off, pgsolo.cron_run,
    pgsolo.cron_decision to pgsolo_runtime;
grant insert, delete on pgsolo.replica_session to pgsolo_runtime;
grant insert, update on pgsolo.leader, pgsolo.cursor, pgsolo.handler_term, pgsolo.doorbell, pgsolo.cron_leader,
    pgsolo.cron_job, pgsolo.cron_position to pgsolo_runtime;
grant update, delete on pgsolo.dedup to pgsolo_runtime;
grant delete on pgsolo.event to pgsolo_runtime;
grant select on sequence pgsolo.event_id_seq to pgsolo_runtime;
grant update on sequence pgsolo.doorbell_armed to pgsolo_runtime;
grant execute on function pgsolo.know, pgsolo.arm, pgsolo.attend, pgsolo.declare_configuration, pgsolo.count_led,
    pgsolo.leave, pgsolo.left_topics, pgsolo.declared_events, pgsolo.check_log, pgsolo.note_checked to pgsolo_runtime;

-- People and programs that hand over, replay, pause and trigger. The functions run with the rights of their owner.
grant select on pgsolo.leadership, pgsolo.replica, pgsolo.handler, pgsolo.dead_letter, pgsolo.job, pgsolo.cron_run,
    pgsolo.held_back to pgsolo_operator;
grant execute on function pgsolo.step_down, pgsolo.replay, pgsolo.discard, pgsolo.pause_job, pgsolo.resume_job,
    pgsolo.trigger_job, pgsolo.forget_handler, pgsolo.forget_topic, pgsolo.forget_job, pgsolo.forget_election,
    pgsolo.forget_position, pgsolo.rename_handler to pgsolo_operator;

-- Applications that emit events by pgsolo.emit, and read none. For insert and copy see 'Producing events' in the README.
grant execute on function pgsolo.emit to pgsolo_producer;

-- Dashboards. What they see of dead letters are payloads; leave that view out where those are nobody's business.
grant select on pgsolo.leadership, pgsolo.replica, pgsolo.handler, pgsolo.dead_letter, pgsolo.job, pgsolo.cron_run,
    pgsolo.held_back to pgsolo_reader;
