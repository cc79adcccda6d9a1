-- What decides about doing the statements of a script beside each other. The
-- first row, without a name, is about all: domains, safe. It is asked in the script's own
-- session, where a backslash may mean anything: there is none.
with trees as materialized (
	-- the expressions that a COPY runs
	select conrelid as relation, contypid as type, conbin::text as tree from pg_catalog.pg_constraint where contype = 'c' and oid >= 16384
	union all
	select d.adrelid, 0, d.adbin::text
	from pg_catalog.pg_attrdef d join pg_catalog.pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum
	where a.attgenerated <> ''
), doubtful as materialized (
	-- those with a function that is not PostgreSQL's own, or may read what is not the row
	select relation, type from trees
	where tree ~ '[{]COERCETODOMAIN ' or exists (
		select from pg_catalog.regexp_matches(tree, ':[[:alnum:]_]*funcid ([0-9]+)', 'g') m join pg_catalog.pg_proc f on f.oid = m[1]::oid
		where f.oid >= 16384 or f.provolatile = 'v' or f.proname ~ '(_to_xml|^pg_|^has_|^to_reg|description)')
), odd as materialized (
	-- columns whose type does more than read its text
	select a.attrelid as relation
	from pg_catalog.pg_attribute a
	join pg_catalog.pg_type t on t.oid = a.atttypid
	join pg_catalog.pg_type e on e.oid = case when t.typcategory = 'A' and t.typelem <> 0 then t.typelem else t.oid end
	where a.attrelid >= 16384 and a.attnum > 0 and not a.attisdropped and e.oid >= 16384 and not (
		e.typtype in ('b', 'e') or
		e.typtype = 'd' and e.typbasetype < 16384 and not exists (select from doubtful where type = e.oid))
), own as materialized (
	-- whether the database's own collation is a language's; before 15 the C library is the only provider
	select case coalesce(pg_catalog.to_jsonb(d) ->> 'datlocprovider', 'c') when 'c' then d.datcollate not in ('C', 'POSIX') when 'b' then false else true end as worded
	from pg_catalog.pg_database d where d.datname = pg_catalog.current_database()
), written as materialized (
	-- functions in a language other than C
	select oid from pg_catalog.pg_proc
	where oid >= 16384 and prolang not in (select oid from pg_catalog.pg_language where lanname in ('internal', 'c'))
)
select '' as schema, '' as name,
	case when exists (select from doubtful where type <> 0) then 'f' else 't' end as kind, '0' as columns,
	'' as worded,
	pg_catalog.current_setting('search_path') = '' and current_user = 'postgres' and session_user = 'postgres'
	and not exists (select from pg_catalog.pg_event_trigger)
	and not exists (select from written w where
		exists (select from pg_catalog.pg_operator o where o.oprcode = w.oid) or
		exists (select from pg_catalog.pg_amproc p where p.amproc = w.oid) or
		exists (select from pg_catalog.pg_cast c where c.castfunc = w.oid) or
		exists (select from pg_catalog.pg_conversion c where c.conproc = w.oid)) as safe,
	'' as receives
union all
select n.nspname, c.relname, c.relkind::text,
	(select count(*)::text from pg_catalog.pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''),
	-- columns of text that is compared as a language does, behind each other
	(select pg_catalog.string_agg(a.attname::text, pg_catalog.chr(1))
		from pg_catalog.pg_attribute a join pg_catalog.pg_collation l on l.oid = a.attcollation, own
		where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
		and case l.collprovider when 'd' then own.worded when 'c' then l.collcollate not in ('C', 'POSIX') when 'b' then false else true end),
	c.relkind = 'r' and c.relpersistence <> 't' and a.amname = 'heap'
	and not c.relhasindex and not c.relhastriggers and not c.relhasrules
	and pg_catalog.pg_relation_size(c.oid) = 0
	and not exists (select from doubtful d where d.relation = c.oid)
	and not exists (select from odd o where o.relation = c.oid)
	and not (c.relispartition and exists (
		select from pg_catalog.pg_partition_ancestors(c.oid) above join pg_catalog.pg_partitioned_table p on p.partrelid = above.relid
		where p.partexprs is not null or exists (select from unnest(p.partclass) class where class >= 16384))),
	-- columns and how values of their type, or of what a domain is over, come in: where text
	-- of them is read by the function that belongs to it, so that both mean the same
	(select pg_catalog.string_agg(a.attname || pg_catalog.chr(1) || coalesce(f.prosrc, ''), pg_catalog.chr(2))
		from pg_catalog.pg_attribute a
		join pg_catalog.pg_type t on t.oid = a.atttypid
		join pg_catalog.pg_type b on b.oid = case t.typtype when 'd' then t.typbasetype else t.oid end
		left join pg_catalog.pg_proc f on f.oid = b.typreceive and f.prolang = (select oid from pg_catalog.pg_language where lanname = 'internal')
			and exists (select from pg_catalog.pg_proc i where i.oid = b.typinput and i.prolang = f.prolang
				and pg_catalog.regexp_replace(i.prosrc, '_?in$', '') = pg_catalog.regexp_replace(f.prosrc, '_?recv$', ''))
		where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = '')
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
left join pg_catalog.pg_am a on a.oid = c.relam
where c.relkind in ('r', 'p', 'm') and c.oid >= 16384
