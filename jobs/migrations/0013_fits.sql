-- fits says whether the database's encoding has the characters of a text in UTF-8. What pgsolo writes by itself, as the errors of
-- handlers, is written without the others. Whoever may use the schema may ask.
create function pgsolo.fits(utf8 bytea) returns boolean
language plpgsql stable parallel safe set search_path = pg_catalog, pg_temp as $$
begin
    perform convert_from(utf8, 'UTF8');
    return true;
exception when data_exception then
    return false;
end
$$;

grant execute on function pgsolo.fits to public;
