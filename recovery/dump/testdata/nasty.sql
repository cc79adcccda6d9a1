create schema "a ""b""
c; \.";
create extension pg_trgm;
create extension citext;
create type public.mood as enum ('sad', 'ok; then', '\.');
create table public.words (word text primary key);
create function public.known(text) returns boolean language sql stable as $$ select exists (select from public.words where word = $1) $$;
create domain public.positive as integer check (value > 0);
create domain public.word as text check (public.known(value));
create table public.zzz_refers (id integer, word public.word, plain text check (public.known(plain)));
create table public.wide (id bigint generated always as identity primary key, m public.mood, p public.positive, c public.citext, note text,
	double bigint generated always as (id * 2) stored, constraint short check (length(note) < 5000));
create table "a ""b""
c; \."."t; \.
copy x from stdin;" ("col; \." integer primary key, "b" text);
create table public.parent (id integer not null, at date not null, what text) partition by range (at);
create table public.leaf_1 partition of public.parent for values from ('2026-01-01') to ('2026-02-01');
create table public.leaf_rest partition of public.parent default;
alter table public.parent add primary key (id, at);
create index parent_what on public.parent (what);
create table public.base (id integer primary key, x text);
create table public.heir (y integer) inherits (public.base);
create table public.booked (room integer, during int4range, exclude using gist (during with &&));
create table public.refs (id serial primary key, wide bigint unique, base integer, parent integer, parent_at date, self integer,
	unique (base, parent) deferrable initially deferred);
create unlogged table public.gone (id integer);
create table public.no_columns ();
create table public.audit (id integer, what text);
create sequence public.odd start 5 increment -3 minvalue -100 maxvalue 5;
create schema app;
create table app.o (id integer primary key, m public.mood);
create view app.totals as select id, m, count(*) from app.o group by id;
create function public.twice(bigint) returns bigint language plpgsql immutable as $$ begin return $1 * 2; end $$;
--
insert into public.words select 'word ' || n from generate_series(1, 50) n;
insert into public.zzz_refers select n, 'word ' || n, 'word ' || n from generate_series(1, 50) n;
insert into public.wide (m, p, c, note) select (array['sad', 'ok; then', '\.'])[1 + n % 3]::public.mood, n, 'C' || n,
	case n % 7 when 0 then E'\\.' when 1 then E'line\n\\.\nline' when 2 then null when 3 then '' when 4 then E'a\\' when 5 then repeat('x', n % 3000) else E'\t\r\b' end
	from generate_series(1, 6000) n;
insert into "a ""b""
c; \."."t; \.
copy x from stdin;" select n, E'\\. ' || n from generate_series(1, 300) n;
insert into public.parent select n, '2026-01-01'::date + n % 60, 'what ' || n from generate_series(1, 3000) n;
insert into public.base select n, 'x' from generate_series(1, 100) n;
insert into public.heir select n, 'h', n from generate_series(1, 100) n;
insert into public.booked select n, int4range(n * 10, n * 10 + 5) from generate_series(1, 200) n;
insert into public.refs (wide, base, parent, parent_at, self) select n, 1 + n % 90, n, '2026-01-01'::date + n % 60, n from generate_series(1, 2000) n;
insert into public.no_columns default values;
insert into public.gone values (1);
insert into app.o values (1, 'sad');
select nextval('public.odd'), nextval('public.odd');
select lo_from_bytea(900 + n, decode(repeat('00ff0a5c', 1000), 'hex')) from generate_series(1, 3) n;
--
create index wide_note on public.wide using gin (note public.gin_trgm_ops);
create index wide_twice on public.wide (public.twice(id)) where m = 'sad'::public.mood;
create index wide_mood on public.wide (m, p desc nulls last) include (c) where note is not null and m <> 'sad';
create unique index wide_lower on public.wide (lower(c::text), id);
create index wide_lower_id on public.wide (id, m);
create statistics wide_stats on m, p from public.wide;
alter table public.wide cluster on wide_lower_id;
alter table public.base replica identity using index base_pkey;
create unique index refs_unique on public.refs (parent);
alter table public.refs add foreign key (wide) references public.wide on delete cascade, add foreign key (base) references public.base,
	add foreign key (parent, parent_at) references public.parent, add foreign key (self) references public.refs deferrable;
alter table public.heir add foreign key (y) references public.base not valid;
create materialized view public.m1 as select m, count(*) from public.wide group by m;
create unique index m1_key on public.m1 (m);
create materialized view public.m2 as select sum(count) from public.m1;
create view public.v as select * from public.parent;
create rule quiet as on insert to public.audit do instead nothing;
create function public.log() returns trigger language plpgsql as $$ begin insert into public.audit values (1, 'x; \.'); return new; end $$;
create trigger log after insert on public.words for each row execute function public.log();
create function public.ddl() returns event_trigger language plpgsql as $$ begin null; end $$;
create event trigger ddl on ddl_command_end execute function public.ddl();
comment on index public.wide_note is 'a comment; with ''\.'' in it
\.
copy';
comment on constraint short on public.wide is 'short; \.';
comment on table "a ""b""
c; \."."t; \.
copy x from stdin;" is 'x';
comment on event trigger ddl is 'e';
alter index public.wide_twice alter column 1 set statistics 500;
grant select on public.wide to app;
alter default privileges in schema public grant select on tables to app;
alter table public.words enable row level security;
create policy p on public.words using (public.known(word));

