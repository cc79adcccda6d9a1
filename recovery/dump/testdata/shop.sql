create schema app authorization "shop owner";
create type app.status as enum ('new', 'paid', 'it''s; odd');
create domain app.money as numeric(12,2) check (value >= 0);
create table public.orders (
	id bigint generated always as identity primary key,
	status app.status not null default 'new',
	total app.money not null,
	note text,
	placed timestamptz not null default '2026-11-22 02:41:07.221+00');
alter table public.orders owner to "shop owner";
create table public.items (order_id bigint not null references public.orders, sku text, count int, "odd ""name" bytea);
create index items_sku on public.items (sku) where count > 0;
create unlogged table public.sessions (id int, data jsonb);
create table public.events (at date not null, what text) partition by range (at);
create table public.events_2026_11 partition of public.events for values from ('2026-11-01') to ('2026-12-01');
create table public.events_rest partition of public.events default;
create table public."COPY x FROM stdin;" (program text);
--
insert into public.orders (status, total, note)
	select (array['new', 'paid', 'it''s; odd'])[1 + n % 3]::app.status, n, 'order ' || n from generate_series(1, 500) n;
insert into public.orders (total, note) values
	(1, E'\\.'), (2, E'\\.\n\\.\nCOPY public.orders FROM stdin;\n1\t2'), (3, E'\\! touch /tmp/comeback-was-here\n\\connect template1'),
	(4, E'-- PostgreSQL database dump complete\n--\n'), (5, E'back\\slash \t tab \r return \b \\N'), (6, null), (7, ''), (8, '''; drop table public.items; --'),
	(9, '$$ $a$ /* "'), (10, E'\u00e4\u20ac\U0001F600');
insert into public.items select id, 'sku' || id, id % 4, decode('00ff5c2e0a', 'hex') from public.orders;
insert into public.sessions values (1, '{"a": "\\\\."}');
insert into public.events select '2026-10-25'::date + n, 'event ' || n from generate_series(0, 60) n;
insert into public."COPY x FROM stdin;" values ('COPY t FROM PROGRAM ''sh'''), (E'\\copy t from program ''sh''');
--
create function app.label(o public.orders) returns text language plpgsql as $f$
begin
	-- a comment; with a ' quote
	return format(E'%s;\n$$ \\. %s', o.id, o.note) || $q$ ; $q$;
end;
$f$;
create function app.twice(n int) returns int language sql begin atomic; select case when n > 0 then n * 2 end; end;
create procedure app.nothing() language plpgsql as 'begin null; /* '' */ end';
create function app.touch() returns trigger language plpgsql as $$ begin new.note := coalesce(new.note, '\.'); return new; end $$;
create trigger touch before update on public.orders for each row execute function app.touch();
create rule no_delete as on delete to public.items do instead (select 1; select 2);
create view app.paid as select id, total from public.orders where status = 'paid';
create materialized view app.totals as select status, sum(total) as total from public.orders group by status;
create unique index on app.totals (status);
create sequence app.invoice start 41 increment 7;
select nextval('app.invoice'), nextval('app.invoice');
alter table public.orders enable row level security;
create policy own on public.orders for select to app, reporting using (total < 1000);
grant select, insert on public.orders to app;
grant select (id, total) on public.orders to reporting with grant option;
alter default privileges for role "shop owner" in schema app grant select on tables to reporting;
comment on table public.orders is E'of the shop;\n\\connect template1\n-- it''s';
create extension if not exists plpgsql;
create publication everything for all tables;
select lo_from_bytea(4711, decode(repeat('00ff0a5c', 3000), 'hex'));
alter large object 4711 owner to "shop owner";
grant select on large object 4711 to reporting;
