-- What a leader tells its successor. The version before writes neither, and asks for neither.
alter table pgsolo.leader_term
    add column server   text,    -- the start of the server in which the term began, as session.go names it
    add column lease_ms integer; -- of that leader
