-- The rows that a shop begins with. shop.scale, shop.seed and shop.now are set
-- by the session; the same three give the same rows.
create function pg_temp.scale() returns bigint language sql stable as
	$$ select current_setting('shop.scale')::bigint $$;
-- pick gives a number from 0 to n - 1 for the i-th row.
create function pg_temp.pick(i bigint, what bigint, n bigint) returns bigint language sql stable as
	$$ select (hashint8extended(i, current_setting('shop.seed')::bigint * 100 + what) & 2147483647) % n $$;
create function pg_temp.ago(seconds double precision) returns timestamptz language sql stable as
	$$ select current_setting('shop.now')::timestamptz - make_interval(secs => seconds) $$;

insert into customers (id, email, name, address, created_at)
select i, format('customer%s@example.com', i),
	(array['Ada', 'Noor', 'Jürgen', 'Zoë', 'Łukasz', 'María', 'Søren', 'Ngọc'])[1 + pg_temp.pick(i, 1, 8)] || ' ' ||
	(array['O''Brien', 'Weiß', 'da Silva', 'Smith "Smitty"', 'Ångström', 'C:\dir', 'Ωmega', 'Lee'])[1 + pg_temp.pick(i, 2, 8)],
	jsonb_build_object('city', (array['Łódź', 'Köln', 'Kyōto', 'Porto'])[1 + pg_temp.pick(i, 3, 4)], 'zip', lpad(pg_temp.pick(i, 4, 99999)::text, 5, '0')),
	pg_temp.ago(86400 * (90 + pg_temp.pick(i, 5, 400)))
from generate_series(1, greatest(10, pg_temp.scale() / 20)) i;

insert into products (id, sku, name, price_cents, attributes)
select i, format('%s-%s', (array['mug', 'bag', 'cap', 'pen'])[1 + i % 4], i), format('%s %s', (array['Mug', 'Bag', 'Cap', 'Pen'])[1 + i % 4], i),
	(100 + pg_temp.pick(i, 6, 9900))::integer,
	jsonb_build_object('colour', (array['red', 'green', 'blue'])[1 + pg_temp.pick(i, 7, 3)], 'weight', pg_temp.pick(i, 8, 2000))
from generate_series(1, least(5000, greatest(20, pg_temp.scale() / 100))) i;

insert into order_items (order_id, line, product_id, quantity, price_cents)
select o, l, p.id, 1 + pg_temp.pick(o, 20 + l, 3), p.price_cents
from generate_series(1, pg_temp.scale()) o
cross join lateral generate_series(1, 1 + pg_temp.pick(o, 9, 3)) l
join products p on p.id = 1 + pg_temp.pick(o, 30 + l, (select count(*) from products));

insert into orders (id, customer_id, invoice, status, total_cents, note, placed_at)
select o, 1 + pg_temp.pick(o, 10, (select count(*) from customers)), nextval('invoice_numbers'),
	(array['placed', 'paid', 'paid', 'shipped', 'shipped', 'shipped', 'returned'])[1 + pg_temp.pick(o, 11, 7)], total,
	case when o % 97 = 0 then E'leave it\n\twith the neighbour (\\.)'
	     when o % 101 = 0 then $n$-- "quotes", 'quotes'; $$ and \N, none of it SQL$n$ end,
	pg_temp.ago(60 + 86400 * 90 * (pg_temp.scale() - o)::double precision / pg_temp.scale())
from (select order_id o, sum(quantity * price_cents) total from order_items group by order_id order by order_id) t;

insert into carts (id, customer_id, items, touched_at)
select md5(format('cart %s %s', current_setting('shop.seed'), i))::uuid, 1 + pg_temp.pick(i, 12, (select count(*) from customers)),
	jsonb_build_array(jsonb_build_object('product', 1 + pg_temp.pick(i, 13, 20), 'quantity', 1 + pg_temp.pick(i, 14, 3))),
	pg_temp.ago(pg_temp.pick(i, 15, 86400))
from generate_series(1, greatest(10, pg_temp.scale() / 40)) i;

insert into sessions (token, customer_id, data, expires_at)
select md5(format('session %s %s', current_setting('shop.seed'), i)), 1 + pg_temp.pick(i, 16, (select count(*) from customers)),
	jsonb_build_object('theme', (array['dark', 'light'])[1 + pg_temp.pick(i, 17, 2)]), pg_temp.ago(-86400)
from generate_series(1, greatest(10, pg_temp.scale() / 20)) i;

insert into search_cache (term, hits)
select format('term %s', i), jsonb_build_array(i) from generate_series(1, 100) i;

select setval(pg_get_serial_sequence('customers', 'id'), max(id)) from customers;
select setval(pg_get_serial_sequence('products', 'id'), max(id)) from products;
select setval(pg_get_serial_sequence('orders', 'id'), max(id)) from orders;
